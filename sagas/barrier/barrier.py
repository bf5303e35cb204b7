"""The barrier for any function: one effect and one answer per idempotency key.

    @barrier.action
    def reserve(call): ...              # call.idempotency_key is "{saga}/{step}/do"

    with barrier.once(key) as call:
        if not call.is_settled:
            call.answer = {"reservation": reserve(...)}

Effect, answer and the barrier's row are one transaction of the caller's own database. Whoever
comes at the same moment waits for the first one's commit and then gets its answer.

Every call of a step begins by taking the row of its first action, `{saga}/{step}/do`, locked.
That is what puts an action and its undo in order when both come at once: there is one row that
both must have, whichever of them makes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import router, transaction

from sagas.barrier.configuration import max_answer_bytes
from sagas.barrier.exceptions import BusinessFailure
from sagas.barrier.keys import Direction, Key, parse_key
from sagas.barrier.models import HandledCall

Function = TypeVar("Function", bound=Callable[..., Any])
Outcome = HandledCall.Outcome


@dataclass(slots=True)
class Passage:
    """A call at the barrier. Unless it is settled, do the work and set `answer`."""

    key: Key
    # Answered before, or an undo with nothing to undo: do nothing, `answer` is the answer.
    is_settled: bool = False
    status: int = 200
    answer: Any = None
    # The actions whose effects this undo takes back.
    undoes: list[HandledCall] = field(default_factory=list)


@contextmanager
def once(key: str | Key, *, undoes: str = "") -> Iterator[Passage]:
    """Let a call through that has not been answered yet; the block does its work.

    `undoes` is, of an undo, the key of the action that it takes back: the header
    `Sagadesk-Undoes`. Actions that are ordered anew after that one are let through. Without it an
    undo that finds nothing keeps out every later action of its step.

    Raises BusinessFailure for a call that was refused before, or whose undo has come already. A
    BusinessFailure of the block undoes what it wrote and is remembered; after any other exception
    nothing is remembered, so that the next attempt runs the block again. Inside an outer atomic
    block all of it is part of that one, and lost with it.
    """
    key = parse_key(key, undoes=undoes) if isinstance(key, str) else key
    refusal: BusinessFailure | None = None
    database = router.db_for_write(HandledCall)
    with transaction.atomic(using=database):
        call = _enter(key)
        if isinstance(call, BusinessFailure):
            refusal = call
        elif call.is_settled:
            yield call
        else:
            try:
                with transaction.atomic(using=database):
                    yield call
                    _check_size(call.answer)
            except BusinessFailure as failure:
                refusal = failure
                _remember(key, Outcome.REFUSED, failure.status, failure.answer)
            else:
                _conclude(call)
    if refusal:
        # Not before the commit, which would be none if this left the block.
        raise refusal


def action(function: Function) -> Function:
    """Let a function that takes a call, with its `idempotency_key`, act once for each step.

    Raises BusinessFailure when the call was refused before, or its undo has come already.
    """
    return _guard(function, "forward")


def compensation(function: Function) -> Function:
    """Let a function that takes a call, with its `idempotency_key`, undo what its action did.

    It is not run when there is nothing to undo; the action is then refused when it comes. If the
    call has `undoes`, the key of that action, one that is ordered anew is not refused.
    """
    return _guard(function, "backward")


def _guard(function: Function, direction: Direction) -> Function:
    @wraps(function)
    def guarded(call: Any, *args: Any, **kwargs: Any) -> Any:
        undoes = getattr(call, "undoes", "")
        key = parse_key(call.idempotency_key, direction=direction, undoes=undoes)
        with once(key) as passage:
            if not passage.is_settled:
                passage.answer = function(call, *args, **kwargs)
        return passage.answer

    return guarded  # type: ignore[return-value]


def _enter(key: Key) -> Passage | BusinessFailure:
    if key.direction == "backward":
        return _enter_undo(key)
    if key.generation > 1:
        return _enter_again(key)
    # The usual way. A new row says that no undo has come, for that would have left this row.
    row, is_new = _take(key, outcome=Outcome.DONE)
    return Passage(key) if is_new else _answered(row)


def _enter_undo(key: Key) -> Passage | BusinessFailure:
    late = BusinessFailure("It was undone before it came; nothing was done.", code="undone_before")
    _take(key.first_action, outcome=Outcome.TOMBSTONE, status=late.status, answer=late.answer)
    calls = _calls_of(key.step)
    if key.text in calls:
        return _answered(calls[key.text])
    effects = _effects(calls, key.undone)
    if not effects:
        _create(key, outcome=Outcome.NOTHING_TO_UNDO)
        return Passage(key, is_settled=True)
    _create(key, outcome=Outcome.DONE)
    return Passage(key, undoes=effects)


def _enter_again(key: Key) -> Passage | BusinessFailure:
    """Enter an action that is ordered again, because the one before was refused or undone."""
    older = BusinessFailure("A later call for the same step has come before.", code="superseded")
    _take(key.first_action, outcome=Outcome.REFUSED, status=older.status, answer=older.answer)
    calls = _calls_of(key.step)
    if key.text in calls:
        return _answered(calls[key.text])
    if any(_keeps_out(undo, key.generation) for undo in calls.values()):
        return BusinessFailure("It was undone before it came.", code="undone_before")
    if any(c.direction == "forward" and c.generation > key.generation for c in calls.values()):
        return older
    _create(key, outcome=Outcome.DONE)
    return Passage(key)


def _keeps_out(undo: HandledCall, generation: int) -> bool:
    """Say whether a call is the undo of an action that has not come yet, of that generation."""
    if undo.undone is not None:
        return undo.undone >= generation
    # Nobody said which action it was meant for; if it found none, this may be the one.
    return undo.outcome == Outcome.NOTHING_TO_UNDO


def _effects(calls: dict[str, HandledCall], undone: int | None) -> list[HandledCall]:
    """Return the actions among these calls whose effects stand, of generations up to `undone`."""
    return [
        call
        for call in calls.values()
        if call.direction == "forward"
        and call.outcome == Outcome.DONE
        and (undone is None or call.generation <= undone)
    ]


def _answered(row: HandledCall) -> Passage | BusinessFailure:
    """Return the answer that a row holds."""
    if not row.is_refusal:
        return Passage(parse_key(row.key), True, row.status, row.answer)
    error = row.answer.get("error") if isinstance(row.answer, dict) else None
    details = error if isinstance(error, dict) else {}
    message, code = details.get("message") or row.answer, details.get("code") or ""
    return BusinessFailure(str(message), code=str(code), status=row.status, answer=row.answer)


def _conclude(call: Passage) -> None:
    if call.undoes:
        keys = [action.key for action in call.undoes]
        HandledCall.objects.filter(key__in=keys).update(outcome=Outcome.UNDONE)
    # The row was made with this answer.
    if (call.status, call.answer) != (200, None):
        _remember(call.key, Outcome.DONE, call.status, call.answer)


def _remember(key: Key, outcome: Outcome, status: int, answer: Any) -> None:
    HandledCall.objects.filter(key=key.text).update(outcome=outcome, status=status, answer=answer)


def _check_size(answer: Any) -> None:
    """Raise BusinessFailure for an answer that cannot be kept: its effect goes, too."""
    try:
        size = 0 if answer is None else len(json.dumps(answer, cls=DjangoJSONEncoder).encode())
    except (TypeError, ValueError, RecursionError) as error:
        message = f"Its answer is no JSON: {error}"
        raise BusinessFailure(message, code="invalid_answer", status=422) from error
    if size > max_answer_bytes():
        message = f"Its answer has {size:,} bytes; {max_answer_bytes():,} are allowed."
        raise BusinessFailure(message, code="answer_too_large", status=422)


def _take(key: Key, **fields: Any) -> tuple[HandledCall, bool]:
    """Make the row of a key or lock the one there is; wait for whoever has it at the moment."""
    return HandledCall.objects.select_for_update().get_or_create(
        key=key.text, defaults=_parts(key) | fields
    )


def _create(key: Key, *, outcome: Outcome) -> None:
    HandledCall.objects.create(key=key.text, outcome=outcome, **_parts(key))


def _parts(key: Key) -> dict[str, Any]:
    return {
        "step": key.step,
        "direction": key.direction or "",
        "generation": key.generation,
        "undone": key.undone,
    }


def _calls_of(step: str) -> dict[str, HandledCall]:
    """Return the calls of a step by key; they do not change while its first row is locked."""
    return {call.key: call for call in HandledCall.objects.filter(step=step)}
