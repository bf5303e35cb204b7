"""The roles: viewer, operator, lead and admin, as groups of Django's own."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEW = [
    "sagas.view_saga",
    "sagas.view_definition",
    "sagas.view_participant",
    "outbox.view_message",
    "outbox.view_delivery",
    "outbox.view_route",
    "dlq.view_deadletter",
]
OPERATE = [
    "sagas.start_saga",
    "sagas.retry_saga",
    "sagas.pause_saga",
    "sagas.cancel_saga",
    "sagas.mark_done_saga",
    "dlq.reprocess_deadletter",
]
LEAD = [
    "sagas.compensate_saga",
    "sagas.add_definition",
    "sagas.pause_participant",
    "outbox.pause_route",
    "dlq.discard_deadletter",
    "admin.view_logentry",
]
PROGRAM = ["sagas.start_saga", "sagas.view_saga", "sagas.reply_saga"]
ADMIN = [
    "sagas.reply_saga",
    "sagas.add_participant",
    "sagas.change_participant",
    "sagas.delete_participant",
    "outbox.add_route",
    "outbox.change_route",
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.view_group",
    "authtoken.add_token",
    "authtoken.view_token",
    "authtoken.delete_token",
    # The page shows them by another name.
    "authtoken.add_tokenproxy",
    "authtoken.view_tokenproxy",
    "authtoken.delete_tokenproxy",
    "django_celery_beat.view_periodictask",
    "django_celery_beat.change_periodictask",
]
ROLES = {
    "viewer": VIEW,
    "operator": VIEW + OPERATE,
    "lead": VIEW + OPERATE + LEAD,
    "admin": VIEW + OPERATE + LEAD + ADMIN,
    # Not a person: a service that starts sagas and answers them.
    "program": PROGRAM,
}


def make_roles(apps, schema_editor):
    # Permissions are otherwise made only after all migrations have run.
    for config in installed.get_app_configs():
        create_permissions(config, apps=apps, verbosity=0)
    permission = apps.get_model("auth", "Permission")
    group = apps.get_model("auth", "Group")
    for name, wanted in ROLES.items():
        role, _ = group.objects.get_or_create(name=name)
        for label in wanted:
            app, codename = label.split(".")
            role.permissions.add(
                permission.objects.get(content_type__app_label=app, codename=codename)
            )


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("authtoken", "0004_alter_tokenproxy_options"),
        ("django_celery_beat", "0019_alter_periodictasks_options"),
        ("dlq", "0001_initial"),
        ("outbox", "0001_initial"),
        ("sagas", "0001_initial"),
    ]
    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
