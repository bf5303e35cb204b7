"""What a verb would do, line by line, before anybody presses the button."""

from __future__ import annotations

from typing import NamedTuple

from sagas.core.decide import advance
from sagas.core.definition import Definition
from sagas.core.happenings import Ordered, Probed, Sent, Succeeded
from sagas.core.moves import Run, Wait, next_move
from sagas.core.state import Direction, SagaState, StepState, StepStatus
from sagas.core.verbs import Verb, why_not

# A time after every wake-up: the plan asks what comes, not when.
_LATER = 1e12


class PlanLine(NamedTuple):
    """One call that would be made, or one step that would be settled without a call."""

    step: str
    participant: str
    action: str
    direction: Direction
    note: str = ""


def plan(
    definition: Definition,
    state: SagaState,
    verb: Verb,
    *,
    step: int | None = None,
    steps: tuple[int, ...] | None = None,
    target: Definition | None = None,
) -> tuple[PlanLine, ...]:
    """Return the calls that follow when the verb is given and every one of them succeeds.

    It runs the same core on a copy, so it cannot differ from what will happen; only conditions are
    taken to hold, and noted. Step, steps and target are those of the order. Empty for a verb that
    is refused now, and for one that calls nobody.
    """
    if why_not(definition, state, verb) is not None or verb in _CALL_NOBODY:
        return ()
    order = Ordered(_LATER, verb, "", "", step=step, steps=steps, target=target)
    _, after = advance(definition, state, order)
    definition = target or definition
    after = after._replace(timeout_s=None, deadline=None)
    lines = []
    # First it waits for what is in flight, which may go either way.
    for index, step_state in enumerate(after.steps):
        in_flight = _in_flight(step_state)
        if in_flight is not None:
            direction, attempt = in_flight
            lines.append(_line(definition, index, direction, "in flight"))
            result = Succeeded(_LATER, index, direction, attempt)
            _, after = advance(definition, after, result)
    now = _LATER
    while isinstance(move := next_move(definition, after, now), Run | Wait):
        if isinstance(move, Wait):
            now = move.until
            continue
        lines.append(_line(definition, move.step, move.direction, _note(definition, after, move)))
        after = _succeed(definition, after, move)
    return tuple(lines)


# What is done by hand, decided or left alone needs no call.
_CALL_NOBODY = frozenset({Verb.PAUSE, Verb.MARK_DONE, Verb.ABANDON})


def _succeed(definition: Definition, state: SagaState, run: Run) -> SagaState:
    if run.probe:
        return advance(definition, state, Probed(_LATER, run.step, run.attempt, "succeeded"))[1]
    _, state = advance(definition, state, Sent(_LATER, run.step, run.direction, run.attempt))
    return advance(definition, state, Succeeded(_LATER, run.step, run.direction, run.attempt))[1]


def _in_flight(step: StepState) -> tuple[Direction, int] | None:
    """Return direction and attempt of the call whose answer or reply is awaited."""
    if step.status in (StepStatus.RUNNING, StepStatus.WAITING):
        return Direction.FORWARD, step.attempt
    if step.status == StepStatus.COMPENSATING and (step.sent or step.accepted):
        return Direction.BACKWARD, step.undo_attempt
    return None


def _line(definition: Definition, index: int, direction: Direction, note: str) -> PlanLine:
    step = definition.steps[index]
    action = step.action if direction == Direction.FORWARD else step.compensation or ""
    return PlanLine(step.name, step.participant, action, direction, note)


def _note(definition: Definition, state: SagaState, run: Run) -> str:
    step = state.steps[run.step]
    if run.direction == Direction.FORWARD and definition.steps[run.step].when:
        return f"only if {definition.steps[run.step].when}"
    if step.in_doubt:
        return "its outcome is unknown"
    if run.attempt > 1:
        return f"attempt {run.attempt}"
    return ""
