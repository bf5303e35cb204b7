"""What to do next with a saga."""

from __future__ import annotations

from typing import NamedTuple

from sagas.core.definition import Definition, OnUnknown
from sagas.core.happenings import DeadlinePassed, ReplyOverdue, StartDue
from sagas.core.state import Direction, SagaState, SagaStatus, StepState, StepStatus, WaitsFor
from sagas.core.undo import undo_set

# What waits for something that has no time is looked at this often, in case it was missed.
LOOK_AGAIN_S = 3_600.0


class Run(NamedTuple):
    """Perform this attempt of a step now."""

    step: int
    direction: Direction
    attempt: int
    # Repeated after a definite "no"; part of the idempotency key.
    generation: int
    # Not the attempt itself: ask whether it took effect.
    probe: bool = False


class Wait(NamedTuple):
    """Look again at this time (database clock, seconds)."""

    until: float


class Nothing(NamedTuple):
    """Nothing to do until something happens from outside."""


# A time that has passed is the happening it is.
Due = Run | Wait | StartDue | ReplyOverdue | DeadlinePassed
Move = Due | Nothing
NOTHING = Nothing()


# Anything else has been settled backwards, and is not done again by going forward.
TO_BE_DONE = frozenset({StepStatus.PENDING, StepStatus.FAILED, StepStatus.UNKNOWN})
DONE = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED})


def next_move(definition: Definition, state: SagaState, now: float) -> Move:
    """Return the first of what may be done next."""
    moves = next_moves(definition, state, now)
    return moves[0] if moves else NOTHING


def next_moves(definition: Definition, state: SagaState, now: float) -> list[Due]:
    """Return what to do next: the runs that may go side by side, and a time to look again.

    A time that has passed is returned alone, as the happening it is.
    """
    if state.paused_at is not None:
        return []
    if state.status == SagaStatus.RUNNING:
        if state.starts_at is not None:
            if now < state.starts_at:
                return [Wait(state.starts_at)]
            if state.scheduled:
                return [StartDue(now)]
        return _forward(definition, state, now)
    if state.status == SagaStatus.COMPENSATING:
        return _backward(state, now)
    return []


def _forward(definition: Definition, state: SagaState, now: float) -> list[Due]:
    runs: list[Due] = []
    until: list[float] = []
    stopping = state.cancelling
    for index, step in enumerate(state.steps):
        status = step.status
        if status in DONE or step.sent:
            continue
        if step.wake_at is not None and now < step.wake_at:
            until.append(step.wake_at)
        elif status == StepStatus.WAITING:
            if step.wake_at is not None:
                return [ReplyOverdue(now, index)]
        elif status in TO_BE_DONE:
            if status != StepStatus.PENDING and has_given_up(step):
                stopping = True
            elif is_ready(definition, state, index):
                runs.append(_run_forward(definition, index, step))
    if state.deadline is not None and not any(map(is_in_flight, state.steps)):
        if now >= state.deadline:
            return [DeadlinePassed(now)]
        until.append(state.deadline)
    # Then no more is begun; what is in flight is waited for.
    stopping = stopping or (state.deadline is not None and now >= state.deadline)
    if stopping or not runs:
        return _wait(state, until, now)
    return [*runs, Wait(min(until))] if until else runs


def _wait(state: SagaState, until: list[float], now: float) -> list[Due]:
    if not until and any(step.status == StepStatus.WAITING for step in state.steps):
        # For as long as it takes.
        until = [now + LOOK_AGAIN_S]
    return [Wait(min(until))] if until else []


def is_in_flight(step: StepState) -> bool:
    """Say whether a participant's answer or reply is awaited."""
    return step.sent or (step.status == StepStatus.WAITING and step.waits_for == WaitsFor.REPLY)


def _run_forward(definition: Definition, index: int, step: StepState) -> Run:
    if (
        step.status == StepStatus.UNKNOWN
        and definition.steps[index].on_unknown == OnUnknown.PROBE
        and definition.steps[index].probe
    ):
        return Run(index, Direction.FORWARD, step.attempt, step.generation, probe=True)
    return Run(index, Direction.FORWARD, step.attempt + 1, step.generation)


def is_ready(definition: Definition, state: SagaState, index: int) -> bool:
    """Say whether everything is done that must be done before this step."""
    after = definition.steps[index].after
    if after is None:
        return index == 0 or state.steps[index - 1].status in DONE
    return all(state.steps[before].status in DONE for before in after)


def has_given_up(step: StepState) -> bool:
    """Say whether the step has failed for good: no other attempt is planned."""
    return step.wake_at is None and step.status in (StepStatus.FAILED, StepStatus.UNKNOWN)


def _backward(state: SagaState, now: float) -> list[Due]:
    if any(step.sent for step in state.steps):
        return []
    for index in undo_set(state):
        step = state.steps[index]
        if step.wake_at is not None and now < step.wake_at:
            return [Wait(step.wake_at)]
        if step.accepted:
            # Another saga takes as long as it takes.
            open_ended = step.waits_for == WaitsFor.SAGA
            return [Wait(now + LOOK_AGAIN_S) if open_ended else ReplyOverdue(now, index)]
        return [Run(index, Direction.BACKWARD, step.undo_attempt + 1, step.undo_generation)]
    return []


def idempotency_key(saga_id: object, step_name: str, run: Run) -> str:
    """Return the key that is stable over all attempts of one step and direction.

    `{saga}/{step}/do`, or `/undo`; after an operator's retry of a definite "no", `/do/2` and on.
    """
    verb = "do" if run.direction == Direction.FORWARD else "undo"
    return _key(saga_id, step_name, verb, run.generation)


def key_undone(saga_id: object, step_name: str, run: Run, state: SagaState) -> str:
    """Return the key of the action that an undo takes back, as the youngest; "" for an action.

    Whatever is done anew after this undo has a later generation (`step_changes.begin_anew`), so a
    participant may refuse every action up to this one that comes after the undo, and no other.
    """
    if run.direction == Direction.FORWARD:
        return ""
    return _key(saga_id, step_name, "do", state.steps[run.step].generation)


def _key(saga_id: object, step_name: str, verb: str, generation: int) -> str:
    suffix = f"/{generation + 1}" if generation else ""
    return f"{saga_id}/{step_name}/{verb}{suffix}"
