"""What operators have ordered, and what waits for their decision."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Value
from django.db.models.functions import Cast, Now
from django.db.models.lookups import Exact

from sagas.models.sagas import Saga


class VerbRequest(models.Model):
    """A verb that an operator asked for, by request id, so that a repeated press does nothing."""

    request_id = models.CharField(max_length=100, primary_key=True)
    saga = models.ForeignKey(Saga, on_delete=models.CASCADE, related_name="verb_requests")
    verb = models.CharField(max_length=40)
    arguments: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    version = models.IntegerField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        # Forgetting old ones.
        indexes = [models.Index(fields=["at"], name="sagas_verbrequest_at")]

    def __str__(self) -> str:
        return f"{self.verb} {self.saga_id}"


class AwaitedDecisionQuerySet(models.QuerySet["AwaitedDecision"]):
    def open(self) -> AwaitedDecisionQuerySet:
        """Return those that somebody can decide now; a few others may not be removed yet."""
        return self.filter(
            _in_step("status", "waiting"),
            _in_step("waits_for", "approval"),
            saga__status=Saga.Status.RUNNING,
            saga__paused=False,
        )


def _in_step(field: str, value: str) -> Exact:
    """Return whether the state of a decision's step says this."""
    path = (models.F("saga__state"), Value("steps"), Cast("place", models.TextField()))
    said = models.Func(
        *path,
        Value(field),
        function="jsonb_extract_path_text",
        output_field=models.TextField(),
    )
    return Exact(said, Value(value))


class AwaitedDecision(models.Model):
    """A step that waits for somebody's decision.

    Written when it begins to wait, so that nobody has to look for it among all sagas. Removed when
    somebody decides; one whose time has passed, or whose saga turned round, goes a little later.
    """

    saga = models.ForeignKey(
        Saga,
        on_delete=models.CASCADE,
        db_constraint=False,
        db_index=False,
        related_name="awaited_decisions",
    )
    # Of the step in its definition.
    place = models.IntegerField()
    step = models.CharField(max_length=100)
    # The group that may decide; empty: whoever has the permission.
    approvers = models.CharField(max_length=150, blank=True)
    since = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True)

    objects = AwaitedDecisionQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["saga", "place"], name="sagas_awaiteddecision_step"),
        ]
        # What has waited longest.
        indexes = [models.Index(fields=["since"], name="sagas_awaiteddecision_since")]

    def __str__(self) -> str:
        return f"{self.saga_id} {self.step}"
