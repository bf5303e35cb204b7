"""Sagas that are steps of other sagas: started, and undone, in their parent's transaction."""

from __future__ import annotations

import uuid
from typing import Any

from sagas.core import happenings as h
from sagas.core.children import UNDONE_BY, found_ended
from sagas.core.moves import Run, idempotency_key
from sagas.core.state import ENDED, Direction, SagaState, SagaStatus, WaitsFor
from sagas.core.verbs import why_not
from sagas.engine.held import Held
from sagas.engine.intervening import end_of, record_happening, state_of
from sagas.exceptions import SagaError
from sagas.models import Saga
from sagas.participants.calls import describe
from sagas.starting import Start, start_child


def run(held: Held, state: SagaState, run: Run, input: Any, *, at: float) -> h.Result:
    """Start the saga of a step, or have it undone; it tells its parent when it has ended."""
    if run.direction == Direction.BACKWARD:
        return _undo(held, state.steps[run.step].child, run, at=at)
    step = held.definition.steps[run.step]
    key = idempotency_key(held.id, step.name, run)
    parent = {"saga": str(held.id), "step": step.name}
    try:
        child = start_child(
            step.participant,
            Start(held.business_key, input, key),
            parent=parent,
            traceparent=held.traceparent,
        )
    except SagaError as problem:
        error = describe(type(problem).__name__, str(problem), retryable=False)
        return h.Failed(at, *run[:3], error)
    if state.steps[run.step].child == str(child) and (end := _end_of(child, run, at=at)):
        return found_ended(end, run.attempt)
    wake_at = None if step.within_s is None else at + step.within_s
    return h.Waiting(at, *run[:3], WaitsFor.SAGA, wake_at, str(child))


def _end_of(child: uuid.UUID, run: Run, *, at: float) -> h.ChildEnded | None:
    """Return how a saga that was started before has ended; None while it goes on.

    Its row is locked: it ends before this, or tells its parent after it.
    """
    saga = _lock(child)
    if saga is None or saga.status not in ENDED:
        return None
    return end_of(saga.pk, *state_of(saga), at=at, step=run.step)


def _undo(held: Held, child: str, run: Run, *, at: float) -> h.Result:
    saga = _lock(uuid.UUID(child)) if child else None
    if saga is None:
        return _refused(run, "ChildGone", f"There is no saga {child} any more.", at=at)
    verb = UNDONE_BY.get(SagaStatus(saga.status))
    if verb is not None and why_not(*state_of(saga), verb) is None:
        actor, reason = f"saga {held.id}", "The saga that started it is being undone."
        # Telling the parent would change it under the change that is being made of it.
        record_happening(saga, h.Ordered(at, verb, actor, reason), parent_knows=True)
        saga.refresh_from_db()
    if saga.status == SagaStatus.COMPENSATED:
        return h.Succeeded(at, *run[:3])
    if saga.status == SagaStatus.ABANDONED:
        message = f"The saga {child} was abandoned; its effects stand."
        return _refused(run, "ChildAbandoned", message, at=at)
    return h.Waiting(at, *run[:3], WaitsFor.SAGA, None)


def _lock(child: uuid.UUID) -> Saga | None:
    return Saga.objects.select_for_update(no_key=True).filter(pk=child).first()


def _refused(run: Run, error_class: str, message: str, *, at: float) -> h.Failed:
    return h.Failed(at, *run[:3], describe(error_class, message, retryable=False))
