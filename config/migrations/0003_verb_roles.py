"""What the roles may do since operators can skip, rewind, edit, move, abandon and decide."""

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db import migrations

OPERATE = ["skip_saga", "rewind_saga", "approve_saga"]
LEAD = ["edit_input_saga", "move_saga", "abandon_saga", "signal_saga"]
GRANTED = {
    "operator": OPERATE,
    "lead": OPERATE + LEAD,
    "admin": OPERATE + LEAD,
    # A service tells sagas what has happened.
    "program": ["signal_saga"],
}


def grant(apps, schema_editor):
    create_permissions(installed.get_app_config("sagas"), apps=apps, verbosity=0)
    permission = apps.get_model("auth", "Permission")
    group = apps.get_model("auth", "Group")
    for name, codenames in GRANTED.items():
        wanted = permission.objects.filter(content_type__app_label="sagas", codename__in=codenames)
        group.objects.get(name=name).permissions.add(*wanted)


class Migration(migrations.Migration):
    dependencies = [("config", "0002_retention_roles"), ("sagas", "0006_verb_permissions")]
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
