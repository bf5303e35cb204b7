"""What waits for somebody's decision, in a small table of its own."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0010_locks"),
    ]

    operations = [
        migrations.CreateModel(
            name="AwaitedDecision",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("place", models.IntegerField()),
                ("step", models.CharField(max_length=100)),
                ("approvers", models.CharField(blank=True, max_length=150)),
                (
                    "since",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("until", models.DateTimeField(null=True)),
                (
                    "saga",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="awaited_decisions",
                        to="sagas.saga",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["since"], name="sagas_awaiteddecision_since")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("saga", "place"), name="sagas_awaiteddecision_step"
                    )
                ],
            },
        ),
    ]
