"""How long sagas are kept, and what is kept of those that are not."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from sagas.models.definitions import Definition


class RetentionRule(models.Model):
    """How long ended sagas of a definition are kept, and what becomes of them then."""

    class Status(models.TextChoices):
        """The ends of a saga; what moves or has failed is never removed."""

        COMPLETED = "completed", _("completed")
        COMPENSATED = "compensated", _("compensated")
        ABANDONED = "abandoned", _("abandoned")

    class Action(models.TextChoices):
        ARCHIVE = "archive", _("archive")
        DROP = "drop", _("drop")

    # "*" stands for every definition without a rule of its own.
    definition = models.CharField(max_length=100)
    status = models.CharField(max_length=12, choices=Status)
    # Counted from the saga's last change.
    keep_days = models.PositiveIntegerField()
    action = models.CharField(max_length=10, choices=Action)

    class Meta:
        verbose_name = _("retention rule")
        verbose_name_plural = _("retention rules")
        default_permissions = ["view", "change"]
        constraints = [
            models.UniqueConstraint(fields=["definition", "status"], name="sagas_retention_one"),
            models.CheckConstraint(
                condition=models.Q(status__in=["completed", "compensated", "abandoned"]),
                name="sagas_retention_ended_only",
            ),
            models.CheckConstraint(
                condition=models.Q(action__in=["archive", "drop"]), name="sagas_retention_action"
            ),
            models.CheckConstraint(
                condition=models.Q(keep_days__gte=1), name="sagas_retention_keeps_a_day"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.definition} {self.status}"


class ArchivedSaga(models.Model):
    """A saga that ended long ago, in one row; nothing can be done with it any more."""

    id = models.UUIDField(primary_key=True, editable=False)
    definition = models.ForeignKey(
        Definition, on_delete=models.PROTECT, db_index=False, related_name="archived"
    )
    business_key = models.CharField(max_length=200)
    status = models.CharField(max_length=12, choices=RetentionRule.Status)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    archived_at = models.DateTimeField(db_default=Now())
    # {"saga": its row, "start": its start, "journal": its entries, "requests": its verbs}
    document = models.JSONField()

    class Meta:
        verbose_name = _("archived saga")
        verbose_name_plural = _("archived sagas")
        default_permissions = ()
        indexes = [
            # Search by business key or its beginning.
            models.Index(
                fields=["business_key"],
                opclasses=["varchar_pattern_ops"],
                name="sagas_archived_business_key",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=["completed", "compensated", "abandoned"]),
                name="sagas_archived_ended_only",
            ),
        ]

    def __str__(self) -> str:
        return self.business_key
