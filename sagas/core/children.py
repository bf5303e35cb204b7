"""What the end of a saga means for the one whose step has started it."""

from __future__ import annotations

from typing import Any

from sagas.core.definition import Definition
from sagas.core.happenings import ChildEnded, Failed, Result, Succeeded, Unknown
from sagas.core.journal import Entry, Kind
from sagas.core.state import Direction, SagaState, SagaStatus, StepState, StepStatus, WaitsFor
from sagas.core.verbs import Verb

# What undoes a saga in this status; one that has stopped while it was undone waits for a person.
UNDONE_BY = {
    SagaStatus.RUNNING: Verb.CANCEL,
    SagaStatus.FAILED: Verb.COMPENSATE,
    SagaStatus.COMPLETED: Verb.COMPENSATE,
}


def found_ended(ended: ChildEnded, attempt: int) -> Result:
    """Return what comes of an attempt to start a saga that has been started before, and has ended.

    A step that is tried again in doubt asks for the same saga, which may have ended meanwhile.
    """
    where = (ended.at, ended.step, Direction.FORWARD, attempt)
    if ended.status == SagaStatus.COMPLETED:
        return Succeeded(*where, ended.outputs)
    if ended.status == SagaStatus.COMPENSATED:
        return Failed(*where, _error(ended))
    return Unknown(*where, _error(ended))


def child_ended(definition: Definition, state: SagaState, ended: ChildEnded) -> list[Entry]:
    """Return the entries of the parent; none where it does not wait for this child any more."""
    step = state.steps[ended.step]
    if step.child != ended.child or step.waits_for != WaitsFor.SAGA:
        return []
    if step.status == StepStatus.WAITING:
        return [_forward(step, ended)]
    if step.status == StepStatus.COMPENSATING and step.accepted:
        return [_backward(step, ended)]
    return []


def _forward(step: StepState, ended: ChildEnded) -> Entry:
    data: dict[str, Any] = {"attempt": step.attempt}
    if ended.status == SagaStatus.COMPLETED:
        if ended.outputs is not None:
            data["output"] = ended.outputs
        return Entry(Kind.STEP_SUCCEEDED, ended.at, ended.step, data)
    # An abandoned saga may have left effects; its parent cannot know.
    undone = ended.status == SagaStatus.COMPENSATED
    kind = Kind.STEP_FAILED if undone else Kind.STEP_UNKNOWN
    return Entry(kind, ended.at, ended.step, data | {"error": _error(ended), "wake_at": None})


def _backward(step: StepState, ended: ChildEnded) -> Entry:
    data: dict[str, Any] = {"attempt": step.undo_attempt}
    if ended.status == SagaStatus.COMPENSATED:
        return Entry(Kind.UNDO_SUCCEEDED, ended.at, ended.step, data)
    # Completed before it could be stopped: now it can be undone. Abandoned: nobody will.
    wake_at = ended.at if ended.status == SagaStatus.COMPLETED else None
    return Entry(
        Kind.UNDO_FAILED, ended.at, ended.step, data | {"error": _error(ended), "wake_at": wake_at}
    )


def _error(ended: ChildEnded) -> dict[str, Any]:
    reason = (ended.cause or {}).get("message") or ""
    return {
        "class": f"Child{ended.status.value.capitalize()}",
        "message": f"The saga that it had started is {ended.status}. {reason}".strip(),
        "retryable": ended.status == SagaStatus.COMPLETED,
    }
