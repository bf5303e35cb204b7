"""Lanes, which take turns; the index of what is due begins with them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0002_tune_tables")]
    operations = [
        migrations.AddField("saga", "lane", models.IntegerField(default=0, db_default=0)),
        migrations.AddField(
            "sagastart", "tenant", models.CharField(max_length=200, blank=True, db_default="")
        ),
        migrations.AddIndex(
            "sagastart",
            models.Index(
                fields=["tenant", "-saga"],
                name="sagas_sagastart_tenant",
                condition=~models.Q(tenant=""),
            ),
        ),
        migrations.RemoveIndex("saga", "sagas_saga_due"),
        migrations.AddIndex(
            "saga",
            models.Index(
                fields=["lane", "begun", "due_at"],
                name="sagas_saga_due",
                condition=models.Q(due_at__isnull=False),
            ),
        ),
    ]
