"""What operators do with dead letters. The batch is the primitive; one is a batch of one.

A letter is "recovered" only when the thing itself has succeeded. An outbox message is queued again
and recovered by the relay that publishes it; a reply is handed to whoever takes replies, and that
is the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db import transaction

from dlq.burying import bury_again
from dlq.exceptions import LetterChanged, LetterNotFound, LetterSettled, ReasonRequired
from dlq.models import DeadLetter
from dlq.settling import begin_reprocessing, settle
from outbox.audit import Actor, log_verb
from outbox.dying import forget, revive

MAX_BATCH = 1000

Handler = Callable[[DeadLetter], None]


class Outcome(StrEnum):
    """What became of one letter."""

    QUEUED = "queued"  # on its way; recovered when it has been published
    RECOVERED = "recovered"
    FAILED = "failed"  # again; it is open, with the new attempt
    DISCARDED = "discarded"
    REPEATED = "repeated"  # this request has been carried out before
    CHANGED = "changed"
    SETTLED = "settled"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The outcome of one letter; `detail` says why in words where there is more to say."""

    letter_id: UUID
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outcomes of a batch, in the order in which its letters were taken."""

    items: Sequence[ItemResult]

    def count(self, outcome: Outcome) -> int:
        """Return how many letters had this outcome."""
        return sum(item.outcome == outcome for item in self.items)


_handlers: dict[str, Handler] = {}


def register_handler(source: str, handler: Handler) -> None:
    """Say who takes letters of a source (`DeadLetter.Source`) when they are reprocessed.

    The handler is called in a savepoint of the batch's transaction, with the letter; it does to
    this database what the message asks for, or raises.
    """
    _handlers[source] = handler


def reprocess(
    letter_id: UUID,
    *,
    actor: Actor,
    reason: str = "",
    version: int | None = None,
    request_id: str | None = None,
) -> ItemResult:
    """Try one dead letter again.

    Safe to repeat with the same `request_id`. Raises LetterNotFound, LetterSettled when it is not
    open, and LetterChanged when it is not in the `version` that the operator saw.
    """
    with transaction.atomic():
        letter = _lock_one(letter_id, version=version, request_id=request_id)
        if letter is None:
            return ItemResult(letter_id, Outcome.REPEATED)
        return _reprocess([letter], actor, reason, request_id or "")[0]


def reprocess_batch(
    *,
    destination: str | None = None,
    fingerprint: str | None = None,
    ids: Collection[UUID] | None = None,
    limit: int = 100,
    actor: Actor,
    reason: str = "",
) -> BatchResult:
    """Try open letters again, oldest first, with an outcome for each.

    Of `ids` all are answered for, those that are not open too. Otherwise up to `limit` (at most
    1,000) letters of a destination, of a fingerprint, or of both, or all.
    """
    with transaction.atomic():
        letters = DeadLetter.objects.select_for_update().order_by("id")
        if destination is not None:
            letters = letters.filter(destination=destination)
        if fingerprint is not None:
            letters = letters.filter(fingerprint=fingerprint)
        if ids is not None:
            letters = letters.filter(pk__in=list(ids)[:MAX_BATCH])
        else:
            # Another operator's batch takes other letters.
            letters = letters.open().select_for_update(skip_locked=True)
        found = list(letters[: MAX_BATCH if ids is not None else min(limit, MAX_BATCH)])
        items = _refused(found, ids or ())
        items += _reprocess([letter for letter in found if _is_open(letter)], actor, reason, "")
    return BatchResult(items)


def discard(
    letter_ids: UUID | Collection[UUID],
    *,
    actor: Actor,
    reason: str,
    version: int | None = None,
    request_id: str | None = None,
) -> BatchResult:
    """Give letters up for good; what was parked behind them goes on.

    Raises ReasonRequired. For a single id it raises like `reprocess`; of several, each is answered
    for.
    """
    if not reason.strip():
        raise ReasonRequired("discard")
    with transaction.atomic():
        if isinstance(letter_ids, UUID):
            letter = _lock_one(letter_ids, version=version, request_id=request_id)
            if letter is None:
                return BatchResult([ItemResult(letter_ids, Outcome.REPEATED)])
            return BatchResult(_discard([letter], actor, reason, request_id or ""))
        ids = list(letter_ids)[:MAX_BATCH]
        found = list(DeadLetter.objects.select_for_update().filter(pk__in=ids).order_by("id"))
        items = _refused(found, ids)
        items += _discard([letter for letter in found if _is_open(letter)], actor, reason, "")
    return BatchResult(items)


def _lock_one(letter_id: UUID, *, version: int | None, request_id: str | None) -> DeadLetter | None:
    """Return the open letter, locked; None when this request has been carried out before."""
    letter = DeadLetter.objects.select_for_update().filter(pk=letter_id).first()
    if letter is None:
        raise LetterNotFound(letter_id)
    if request_id and letter.last_request_id == request_id:
        return None
    if not _is_open(letter):
        raise LetterSettled(letter_id, status=letter.status)
    if version is not None and letter.version != version:
        raise LetterChanged(letter_id, seen=version, version=letter.version, status=letter.status)
    return letter


def _is_open(letter: DeadLetter) -> bool:
    return letter.status == DeadLetter.Status.OPEN


def _refused(found: Sequence[DeadLetter], ids: Collection[UUID]) -> list[ItemResult]:
    known = {letter.pk for letter in found}
    missing = [ItemResult(id_, Outcome.MISSING) for id_ in ids if id_ not in known]
    settled = [
        ItemResult(letter.pk, Outcome.SETTLED, letter.get_status_display())
        for letter in found
        if not _is_open(letter)
    ]
    return missing + settled


def _reprocess(
    letters: Sequence[DeadLetter], actor: Actor, reason: str, request_id: str
) -> list[ItemResult]:
    if not letters:
        return []
    begin_reprocessing(
        [letter.pk for letter in letters], actor=actor, reason=reason, request_id=request_id
    )
    log_verb(actor, letters, "reprocess", reason)
    queued = _queue([letter for letter in letters if letter.source == DeadLetter.Source.OUTBOX])
    return [queued.get(letter.pk) or _hand_over(letter) for letter in letters]


def _queue(letters: Sequence[DeadLetter]) -> dict[UUID, ItemResult]:
    """Make the deliveries of outbox letters ready again, in their old places of their keys."""
    revived = revive([letter.pk for letter in letters]) if letters else set()
    return {
        letter.pk: ItemResult(letter.pk, Outcome.QUEUED)
        if letter.pk in revived
        else _fail(letter, LookupError("Its delivery is not in the outbox any more."))
        for letter in letters
    }


def _hand_over(letter: DeadLetter) -> ItemResult:
    handler = _handlers.get(letter.source)
    if handler is None:
        return _fail(letter, LookupError(f"Nobody here takes letters of source {letter.source}."))
    try:
        with transaction.atomic():
            handler(letter)
    except Exception as error:
        return _fail(letter, error)
    settle(DeadLetter.objects.filter(pk=letter.pk).reprocessing(), DeadLetter.Status.RECOVERED)
    return ItemResult(letter.pk, Outcome.RECOVERED)


def _fail(letter: DeadLetter, error: Exception) -> ItemResult:
    bury_again(letter, error)
    return ItemResult(letter.pk, Outcome.FAILED, f"{type(error).__name__}: {error}")


def _discard(
    letters: Sequence[DeadLetter], actor: Actor, reason: str, request_id: str
) -> list[ItemResult]:
    ids = [letter.pk for letter in letters]
    settle(
        DeadLetter.objects.filter(pk__in=ids).open(),
        DeadLetter.Status.DISCARDED,
        actor=actor,
        reason=reason,
        request_id=request_id,
    )
    log_verb(actor, letters, "discard", reason)
    forget(ids)
    return [ItemResult(id_, Outcome.DISCARDED) for id_ in ids]
