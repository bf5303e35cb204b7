import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0006_verb_permissions"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="participant",
            options={
                "ordering": ["name"],
                "permissions": [
                    ("pause_participant", "Can pause and resume a participant"),
                    ("limit_participant", "Can limit a participant and close its breaker"),
                ],
                "verbose_name": "participant",
                "verbose_name_plural": "participants",
            },
        ),
        migrations.AddField(
            model_name="participant",
            name="breaker_failures",
            field=models.PositiveIntegerField(
                blank=True,
                db_default=10,
                default=10,
                help_text="Only what cannot be reached, does not answer in time or answers 5xx counts. Empty: not by this.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(1000),
                ],
                verbose_name="the breaker opens after failures in a row",
            ),
        ),
        migrations.AddField(
            model_name="participant",
            name="breaker_open_s",
            field=models.PositiveIntegerField(
                db_default=10,
                default=10,
                help_text="Then one call at a time looks whether the participant is back.",
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(3600),
                ],
                verbose_name="it stays open for seconds",
            ),
        ),
        migrations.AddField(
            model_name="participant",
            name="breaker_ratio",
            field=models.PositiveSmallIntegerField(
                blank=True,
                db_default=50,
                default=50,
                help_text="Of at least 20 calls. Empty: not by this; with both empty there is none.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(100),
                ],
                verbose_name="or after this share of calls failed, in percent",
            ),
        ),
        migrations.AddField(
            model_name="participant",
            name="breaker_reset_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="participant",
            name="breaker_window_s",
            field=models.PositiveIntegerField(
                db_default=30,
                default=30,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(3600),
                ],
                verbose_name="of the calls of the last seconds",
            ),
        ),
        migrations.AddField(
            model_name="participant",
            name="max_concurrency",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Over all workers. Empty: no limit.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(1),
                    django.core.validators.MaxValueValidator(10000),
                ],
                verbose_name="calls at once, at most",
            ),
        ),
        migrations.AddField(
            model_name="participant",
            name="max_rate",
            field=models.FloatField(
                blank=True,
                help_text="Over all workers. Empty: no limit.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(0.01),
                    django.core.validators.MaxValueValidator(100000),
                ],
                verbose_name="calls per second, at most",
            ),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("transport", "http"),
                    models.Q(("max_concurrency", None), ("max_rate", None)),
                    _connector="OR",
                ),
                name="sagas_participant_limits_http",
                violation_error_message="Only HTTP participants can be limited.",
            ),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("max_concurrency", None), ("max_concurrency__gte", 1), _connector="OR"
                    ),
                    models.Q(("max_rate", None), ("max_rate__gt", 0), _connector="OR"),
                ),
                name="sagas_participant_limits",
            ),
        ),
        migrations.AddConstraint(
            model_name="participant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("breaker_failures", None), ("breaker_failures__gte", 1), _connector="OR"
                    ),
                    models.Q(
                        ("breaker_ratio", None), ("breaker_ratio__range", (1, 100)), _connector="OR"
                    ),
                    ("breaker_open_s__gte", 1),
                    ("breaker_window_s__gte", 1),
                ),
                name="sagas_participant_breaker",
            ),
        ),
    ]
