"""What follows from the state of a saga alone, without anything else happening."""

from __future__ import annotations

from typing import Any

from sagas.core.definition import Definition, OnFailure, OnUnknown
from sagas.core.journal import Entry, Kind
from sagas.core.moves import DONE, has_given_up, is_in_flight
from sagas.core.state import SagaState, SagaStatus, StepStatus, WaitsFor
from sagas.core.undo import pivot_passed, standing, undo_set


def consequence(definition: Definition, state: SagaState, at: float) -> Entry | None:
    """Return the one entry that follows from the state alone, or None."""
    if state.status == SagaStatus.RUNNING:
        return _forward_consequence(definition, state, at)
    if state.status == SagaStatus.COMPENSATING:
        return _backward_consequence(definition, state, at)
    if state.status == SagaStatus.FAILED and _undone_by_hand(definition, state):
        return _not_needed(definition, state, undo_set(state), at) or _undone(definition, state, at)
    return None


def _forward_consequence(definition: Definition, state: SagaState, at: float) -> Entry | None:
    if state.signals and state.paused_at is None:
        taken = _signal_taken(definition, state, at)
        if taken is not None:
            return taken
    in_flight = False
    all_done = True
    failed: list[int] = []
    for index, step in enumerate(state.steps):
        if step.status in DONE:
            continue
        all_done = False
        if is_in_flight(step):
            in_flight = True
        elif has_given_up(step):
            failed.append(index)
    if in_flight:
        return None
    if state.cancelling:
        return Entry(Kind.COMPENSATION_BEGAN, at, None, {"cause": _CANCELLED})
    if all_done:
        return Entry(Kind.SAGA_COMPLETED, at)
    if not failed:
        return None
    first = min(failed, key=lambda index: state.steps[index].failing_since or 0.0)
    return _give_up(definition, state, first, at)


def _signal_taken(definition: Definition, state: SagaState, at: float) -> Entry | None:
    """Return that a step takes the oldest signal that it has waited for."""
    for index, step in enumerate(state.steps):
        if step.status != StepStatus.WAITING or step.waits_for != WaitsFor.SIGNAL:
            continue
        for name, data in state.signals:
            if name == definition.steps[index].signal:
                taken = {"attempt": step.attempt, "signal": name, "output": data}
                return Entry(Kind.SIGNAL_TAKEN, at, index, taken)
    return None


_CANCELLED = {"step": "", "class": "Cancelled", "message": "An operator cancelled the saga."}


def _give_up(definition: Definition, state: SagaState, failed: int, at: float) -> Entry:
    """Return how the saga goes on after a step has failed for good."""
    step, step_state = definition.steps[failed], state.steps[failed]
    error = step_state.error or {}
    cause = {"step": step.name, "class": error.get("class"), "message": error.get("message")}
    parks = (
        definition.on_failure == OnFailure.PARK
        or (step_state.status == StepStatus.UNKNOWN and step.on_unknown == OnUnknown.PARK)
        or pivot_passed(definition, state)
    )
    kind = Kind.SAGA_FAILED if parks else Kind.COMPENSATION_BEGAN
    return Entry(kind, at, None, {"cause": cause})


def _backward_consequence(definition: Definition, state: SagaState, at: float) -> Entry | None:
    open_undos = undo_set(state)
    settled = _not_needed(definition, state, open_undos, at)
    if settled is not None:
        return settled
    if open_undos or any(step.sent for step in state.steps):
        return None
    stuck = [
        index
        for index, step in enumerate(state.steps)
        if step.status == StepStatus.COMPENSATION_FAILED
        and (state.chosen is None or index in state.chosen)
    ]
    if not stuck:
        return _undone(definition, state, at)
    error = state.steps[stuck[-1]].error or {}
    cause: dict[str, Any] = {
        "step": definition.steps[stuck[-1]].name,
        "class": error.get("class"),
        "message": error.get("message"),
    }
    if state.cause is not None:
        cause["first"] = state.cause.get("first", state.cause)
    return Entry(Kind.SAGA_FAILED, at, None, {"cause": cause})


def _undone(definition: Definition, state: SagaState, at: float) -> Entry:
    """Return how the saga goes on when everything that was to be undone is undone."""
    if state.rewinding is not None:
        return Entry(Kind.REWOUND, at, None, {"steps": list(state.rewinding)})
    if state.chosen is not None:
        if _open_effects(definition, state):
            return Entry(Kind.SAGA_FAILED, at, None, {"cause": _PARTLY_UNDONE, "partly": True})
        left = undo_set(state._replace(chosen=None))
        if settled := _not_needed(definition, state, left, at):
            return settled
    return Entry(Kind.SAGA_COMPENSATED, at)


_PARTLY_UNDONE = {
    "step": "",
    "class": "PartlyUndone",
    "message": "The chosen steps are undone; effects of others stand.",
}


def _open_effects(definition: Definition, state: SagaState) -> bool:
    return any(definition.steps[index].compensation is not None for index in standing(state))


def _not_needed(
    definition: Definition, state: SagaState, open_undos: list[int], at: float
) -> Entry | None:
    for index in open_undos:
        if definition.steps[index].compensation is None and not state.steps[index].sent:
            reason = "The definition declares no compensation for this step."
            return Entry(Kind.UNDO_NOT_NEEDED, at, index, {"reason": reason})
    return None


def _undone_by_hand(definition: Definition, state: SagaState) -> bool:
    """Say whether operators have settled the last effect of a saga that had stopped."""
    settled = (StepStatus.DONE_BY_HAND, StepStatus.COMPENSATED)
    open_steps = [
        index for index in undo_set(state) if definition.steps[index].compensation is not None
    ]
    return (
        any(step.status in settled for step in state.steps)
        and not open_steps
        and not any(
            step.status == StepStatus.COMPENSATION_FAILED or step.sent for step in state.steps
        )
    )
