"""Everybody sees the rules of retention; administrators change them."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

MAY = {
    "viewer": ["view_retentionrule"],
    "operator": ["view_retentionrule"],
    "lead": ["view_retentionrule"],
    "admin": ["view_retentionrule", "change_retentionrule"],
}


def extend_roles(apps, schema_editor):
    # Permissions are otherwise made only after all migrations have run.
    create_permissions(installed.get_app_config("sagas"), apps=apps, verbosity=0)
    permission = apps.get_model("auth", "Permission")
    group = apps.get_model("auth", "Group")
    for name, codenames in MAY.items():
        role = group.objects.get(name=name)
        wanted = permission.objects.filter(
            content_type__app_label="sagas", codename__in=codenames
        )
        role.permissions.add(*wanted)


class Migration(migrations.Migration):
    dependencies = [("config", "0001_roles"), ("sagas", "0004_retention")]
    operations = [migrations.RunPython(extend_roles, migrations.RunPython.noop)]
