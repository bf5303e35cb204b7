"""The barrier's one table."""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now

from sagas.barrier.keys import MAX_KEY_CHARS


class HandledCall(models.Model):
    """A call that was answered, and its answer; committed together with the call's effect."""

    class Outcome(models.TextChoices):
        # Its effect stands; of an undo: it has undone an effect.
        DONE = "done"
        # A definite no: it had no effect.
        REFUSED = "refused"
        # An action whose effect an undo has taken back.
        UNDONE = "undone"
        # An action that was undone before it came.
        TOMBSTONE = "tombstone"
        # An undo that found no effect.
        NOTHING_TO_UNDO = "nothing_to_undo"

    key = models.CharField(max_length=MAX_KEY_CHARS, primary_key=True)
    # {saga}/{step}; empty when the key is not a saga's.
    step = models.CharField(max_length=MAX_KEY_CHARS, blank=True)
    direction = models.CharField(max_length=8, blank=True)
    generation = models.PositiveSmallIntegerField(default=1)
    # Of an undo: up to which generation it takes actions back; null: its caller did not say. Not
    # a positive integer, whose check would read the whole table when the column is added.
    undone = models.SmallIntegerField(null=True)
    outcome = models.CharField(max_length=16, choices=Outcome)
    status = models.PositiveSmallIntegerField(default=200)
    answer = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        indexes = [
            # All calls of a step: an undo looks for effects, the purge for younger calls.
            models.Index(
                fields=["step", "created_at"],
                name="sagas_barrier_step",
                condition=~models.Q(step=""),
            ),
            # Purge: the oldest first.
            models.Index(fields=["created_at"], name="sagas_barrier_created"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    outcome__in=["done", "refused", "undone", "tombstone", "nothing_to_undo"]
                ),
                name="sagas_barrier_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key}: {self.outcome}"

    @property
    def is_refusal(self) -> bool:
        return self.outcome in (self.Outcome.REFUSED, self.Outcome.TOMBSTONE)
