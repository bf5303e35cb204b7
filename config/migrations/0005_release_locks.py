"""Everybody sees locks; leads and administrators release them by hand."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEW, RELEASE = "view_sagalock", "release_sagalock"
MAY = {
    "viewer": [VIEW],
    "operator": [VIEW],
    "lead": [VIEW, RELEASE],
    "admin": [VIEW, RELEASE],
}


def extend_roles(apps, schema_editor):
    # Permissions are otherwise made only after all migrations have run.
    create_permissions(installed.get_app_config("sagas"), apps=apps, verbosity=0)
    permission = apps.get_model("auth", "Permission")
    group = apps.get_model("auth", "Group")
    for name, codenames in MAY.items():
        wanted = permission.objects.filter(
            content_type__app_label="sagas", codename__in=codenames
        )
        group.objects.get(name=name).permissions.add(*wanted)


class Migration(migrations.Migration):
    dependencies = [("config", "0004_limit_participant"), ("sagas", "0010_locks")]
    operations = [migrations.RunPython(extend_roles, migrations.RunPython.noop)]
