from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0004_retention")]
    operations = [
        migrations.AddField(
            model_name="participant",
            name="api",
            field=models.JSONField(
                blank=True,
                null=True,
                verbose_name="description of its API",
                help_text=(
                    "For an API that exists already: how each action is called. Without it, the "
                    "address is called by Sagadesk's own protocol."
                ),
            ),
        ),
    ]
