from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0008_search_attributes")]
    operations = [
        migrations.AlterField(
            model_name="participant",
            name="transport",
            field=models.CharField(
                choices=[("local", "local callable"), ("http", "HTTP"), ("message", "message")],
                max_length=10,
                verbose_name="transport",
            ),
        ),
    ]
