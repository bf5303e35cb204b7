"""Named locks: who holds them, and who waits."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from sagas.models.sagas import Saga


class SagaLock(models.Model):
    """A name that one saga holds until it has ended; what it protects, definitions agree upon."""

    name = models.CharField(max_length=200)
    saga = models.ForeignKey(
        Saga, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="locks"
    )
    # The step before which it was taken.
    step = models.CharField(max_length=100)
    taken_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = _("lock")
        verbose_name_plural = _("locks")
        default_permissions = ["view"]
        permissions = [("release_sagalock", "Can release locks of sagas by hand")]
        constraints = [
            # Who has it; also the search by the beginning of a name.
            models.UniqueConstraint(
                fields=["name"], opclasses=["varchar_pattern_ops"], name="sagas_sagalock_name"
            ),
        ]
        # What a saga gives back when it ends.
        indexes = [models.Index(fields=["saga"], name="sagas_sagalock_saga")]

    def __str__(self) -> str:
        return self.name


class LockWait(models.Model):
    """A saga in the queue for a lock."""

    pk = models.CompositePrimaryKey("saga_id", "name")
    saga = models.ForeignKey(
        Saga,
        on_delete=models.CASCADE,
        db_constraint=False,
        db_index=False,
        related_name="lock_waits",
    )
    name = models.CharField(max_length=200)
    step = models.CharField(max_length=100)
    since = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        # Who gets the lock next.
        indexes = [models.Index(fields=["name", "since", "saga"], name="sagas_lockwait_queue")]

    def __str__(self) -> str:
        return f"{self.name} {self.saga_id}"
