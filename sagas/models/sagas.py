"""Sagas: the row, what it was started with, its journal. The journal is the truth."""

from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from outbox.uuid7 import uuid7
from sagas.engine.lanes import priority_of
from sagas.models.definitions import Definition


class SagaQuerySet(models.QuerySet["Saga"]):
    def moving(self) -> SagaQuerySet:
        return self.filter(status__in=[Saga.Status.RUNNING, Saga.Status.COMPENSATING])

    def failed(self) -> SagaQuerySet:
        return self.filter(status=Saga.Status.FAILED)


class Saga(models.Model):
    """One instance of a definition: the snapshot that the fold of its journal gives.

    Only the engine writes it, guarded by `epoch` (who holds the lease) and `version` (the number
    of the last journal entry).
    """

    class Status(models.TextChoices):
        RUNNING = "running", _("running")
        COMPENSATING = "compensating", _("compensating")
        COMPLETED = "completed", _("completed")
        COMPENSATED = "compensated", _("compensated")
        FAILED = "failed", _("failed")
        ABANDONED = "abandoned", _("abandoned")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    definition = models.ForeignKey(
        Definition, on_delete=models.PROTECT, db_index=False, related_name="sagas"
    )
    business_key = models.CharField(max_length=200)
    status = models.CharField(max_length=12, choices=Status, default=Status.RUNNING)
    paused = models.BooleanField(default=False)
    # core.state as JSON: what every step has come to.
    state = models.JSONField()
    version = models.IntegerField()
    epoch = models.IntegerField(default=0)
    # When a worker has to look at it: now, the next retry, a deadline, or, while a worker holds
    # it, the end of that worker's lease. NULL: nothing to do.
    due_at = models.DateTimeField(null=True)
    # Somebody has worked on it. Such sagas come before new ones, or a retry in ten seconds would
    # wait behind a queue of minutes.
    begun = models.BooleanField(default=False, db_default=False)
    # Definition, tenant and priority as one number (engine.lanes): lanes take turns, so that a
    # flood in one of them does not hold up the others. Never changes.
    lane = models.IntegerField(default=0, db_default=0)
    # The failing step and what groups its error, while or after something went wrong.
    failed_step = models.CharField(max_length=100, blank=True)
    error_message = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects = SagaQuerySet.as_manager()

    class Meta:
        verbose_name = _("saga")
        verbose_name_plural = _("sagas")
        indexes = [
            # Claim: the lanes with something due, and what is due in a lane, oldest first.
            models.Index(
                fields=["lane", "begun", "due_at"],
                name="sagas_saga_due",
                condition=models.Q(due_at__isnull=False),
            ),
            # The list by status; most sagas are completed and are listed by primary key.
            models.Index(
                fields=["status", "-id"],
                name="sagas_saga_not_completed",
                condition=~models.Q(status="completed"),
            ),
            # The list by definition.
            models.Index(fields=["definition", "-id"], name="sagas_saga_definition"),
            # The list by error group, and the groups.
            models.Index(
                fields=["fingerprint", "-id"],
                name="sagas_saga_fingerprint",
                condition=~models.Q(fingerprint=""),
            ),
            # The list by failed step.
            models.Index(
                fields=["failed_step", "-id"],
                name="sagas_saga_failed_step",
                condition=~models.Q(failed_step=""),
            ),
            # The list of what is paused.
            models.Index(fields=["-id"], name="sagas_saga_paused", condition=models.Q(paused=True)),
            # Search by business key or its beginning.
            models.Index(
                fields=["business_key"],
                opclasses=["varchar_pattern_ops"],
                name="sagas_saga_business_key",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    status__in=[
                        "running",
                        "compensating",
                        "completed",
                        "compensated",
                        "failed",
                        "abandoned",
                    ]
                ),
                name="sagas_saga_status",
            ),
            # What moves and is not paused is due some time; what has stopped never is.
            models.CheckConstraint(
                condition=models.Q(status__in=["running", "compensating"], paused=True)
                | models.Q(status__in=["running", "compensating"], due_at__isnull=False)
                | (
                    ~models.Q(status__in=["running", "compensating"])
                    & models.Q(due_at__isnull=True)
                ),
                name="sagas_saga_due_while_moving",
            ),
        ]
        permissions = [
            ("start_saga", "Can start sagas"),
            ("retry_saga", "Can retry failed sagas"),
            ("compensate_saga", "Can compensate sagas"),
            ("pause_saga", "Can pause and resume sagas"),
            ("cancel_saga", "Can cancel sagas"),
            ("mark_done_saga", "Can mark a step as done by hand"),
            ("skip_saga", "Can skip a step"),
            ("rewind_saga", "Can rewind sagas"),
            ("edit_input_saga", "Can retry with another input"),
            ("move_saga", "Can move sagas to another version"),
            ("abandon_saga", "Can abandon sagas"),
            ("approve_saga", "Can approve or reject what waits for a decision"),
            ("signal_saga", "Can send signals to sagas"),
            ("reply_saga", "Can hand in replies of participants"),
        ]

    def __str__(self) -> str:
        return self.business_key

    @property
    def priority(self) -> str:
        """Return high, normal or low."""
        return priority_of(self.lane).name.lower()


class SagaStart(models.Model):
    """What a saga was started with; kept off the saga's own row because it never changes.

    It outlives its saga when it has an idempotency key (sagas.retention).
    """

    saga = models.OneToOneField(
        Saga,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="start",
    )
    input = models.JSONField()
    # The same key starts one saga only; with another input it is a conflict.
    idempotency_key = models.CharField(max_length=200, null=True, unique=True)  # noqa: DJ001
    input_digest = models.BinaryField(max_length=32)
    traceparent = models.CharField(max_length=55, blank=True)
    # For whom it was started; the fair share of a worker is counted by it.
    tenant = models.CharField(max_length=200, blank=True, db_default="")
    # The definition's search attributes of this input, {name: text}; NULL without any.
    search = models.JSONField(null=True)
    # When the saga was archived or dropped; from then on the key is all that is kept here.
    released_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # The list by tenant.
            models.Index(
                fields=["tenant", "-saga"],
                name="sagas_sagastart_tenant",
                condition=~models.Q(tenant=""),
            ),
            # The list by search attributes; starts without any never write to it.
            GinIndex(
                fields=["search"],
                opclasses=["jsonb_path_ops"],
                name="sagas_sagastart_search",
                condition=models.Q(search__isnull=False),
            ),
            # Forgetting keys, by the time of their start; starts never write to it.
            models.Index(
                fields=["saga"],
                name="sagas_sagastart_released",
                condition=models.Q(released_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.saga_id)


class JournalEntry(models.Model):
    """One entry of a saga's append-only history. `data` is what core.journal says of its kind."""

    pk = models.CompositePrimaryKey("saga_id", "seq")
    saga = models.ForeignKey(
        Saga, on_delete=models.CASCADE, db_index=False, db_constraint=False, related_name="journal"
    )
    seq = models.IntegerField()
    kind = models.CharField(max_length=40)
    step = models.CharField(max_length=100, blank=True)
    data = models.JSONField()
    # The database's clock, as the engine read it when it decided.
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"
