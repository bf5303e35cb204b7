"""The arrows between a letter's states; each is one guarded statement."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now

from dlq.models import DeadLetter, DeadLetterQuerySet
from outbox.audit import Actor, name_of


def settle(
    letters: DeadLetterQuerySet,
    status: DeadLetter.Status,
    *,
    actor: Actor = None,
    reason: str = "",
    request_id: str = "",
) -> int:
    """Settle letters as recovered or discarded; return how many there were.

    `letters` must be filtered by the state they are expected in. Who pressed reprocess stays
    written down when the outcome comes later.
    """
    changes: dict[str, object] = {
        "status": status,
        "settled_at": Now(),
        "version": F("version") + 1,
    }
    if actor is not None or status == DeadLetter.Status.DISCARDED:
        changes |= {"settled_by": name_of(actor), "settle_reason": reason}
    if request_id:
        changes["last_request_id"] = request_id
    return letters.update(**changes)


def begin_reprocessing(
    letter_ids: Collection[UUID], *, actor: Actor, reason: str, request_id: str
) -> int:
    """Mark open letters as being reprocessed, by whom and why."""
    return (
        DeadLetter.objects.filter(pk__in=letter_ids)
        .open()
        .update(
            status=DeadLetter.Status.REPROCESSING,
            version=F("version") + 1,
            settled_by=name_of(actor),
            settle_reason=reason,
            last_request_id=request_id,
        )
    )
