"""Leads and administrators limit participants and close their breakers."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = ["lead", "admin"]


def extend_roles(apps, schema_editor):
    # Permissions are otherwise made only after all migrations have run.
    create_permissions(installed.get_app_config("sagas"), apps=apps, verbosity=0)
    allowed = apps.get_model("auth", "Permission").objects.get(
        content_type__app_label="sagas", codename="limit_participant"
    )
    for role in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        role.permissions.add(allowed)


class Migration(migrations.Migration):
    dependencies = [("config", "0003_verb_roles"), ("sagas", "0007_participant_limits")]
    operations = [migrations.RunPython(extend_roles, migrations.RunPython.noop)]
