"""Locks that sagas hold by name, and the queues for them."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now


def saga_key(related_name):
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name=related_name,
        to="sagas.saga",
    )


class Migration(migrations.Migration):
    dependencies = [("sagas", "0009_message_participants")]
    operations = [
        migrations.CreateModel(
            name="SagaLock",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("step", models.CharField(max_length=100)),
                ("taken_at", models.DateTimeField(db_default=Now())),
                ("saga", saga_key("locks")),
            ],
            options={
                "verbose_name": "lock",
                "verbose_name_plural": "locks",
                "default_permissions": ["view"],
                "permissions": [("release_sagalock", "Can release locks of sagas by hand")],
                "indexes": [models.Index(fields=["saga"], name="sagas_sagalock_saga")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=["name"],
                        name="sagas_sagalock_name",
                        opclasses=["varchar_pattern_ops"],
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LockWait",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "saga_id",
                        "name",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("step", models.CharField(max_length=100)),
                ("since", models.DateTimeField(db_default=Now())),
                ("saga", saga_key("lock_waits")),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["name", "since", "saga"], name="sagas_lockwait_queue")
                ],
            },
        ),
    ]
