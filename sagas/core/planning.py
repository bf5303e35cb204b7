"""What a verb would do, line by line, before anybody presses the button."""

from __future__ import annotations

from typing import NamedTuple

from sagas.core.decide import advance
from sagas.core.definition import Definition, Step, StepType
from sagas.core.happenings import Ordered, Probed, Sent, Succeeded
from sagas.core.moves import Run, Wait, next_move
from sagas.core.state import Direction, SagaState, StepState, StepStatus, WaitsFor
from sagas.core.verbs import Verb, why_not

# A time after every wake-up: the plan asks what comes, not when.
_LATER = 1e12


class PlanLine(NamedTuple):
    """One call that would be made, one wait, or one step that would be settled without a call."""

    step: str
    # Empty for what calls nobody.
    participant: str
    action: str
    direction: Direction
    # What is awaited, under which condition it happens, and the like; each a few words.
    notes: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        return "; ".join(self.notes)


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
    after = after._replace(timeout_s=None, deadline=None, starts_at=None, scheduled=False)
    lines = []
    # First it waits for what is in flight, which may go either way.
    for index, step_state in enumerate(after.steps):
        in_flight = _in_flight(step_state)
        if in_flight is not None:
            direction, attempt = in_flight
            awaited = _awaited(definition.steps[index], step_state)
            lines.append(_line(definition, index, direction, (awaited,)))
            result = Succeeded(_LATER, index, direction, attempt)
            _, after = advance(definition, after, result)
    now = _LATER
    while isinstance(move := next_move(definition, after, now), Run | Wait):
        if isinstance(move, Wait):
            now = move.until
            continue
        lines.append(_line(definition, move.step, move.direction, _notes(definition, after, move)))
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


def _line(
    definition: Definition, index: int, direction: Direction, notes: tuple[str, ...]
) -> PlanLine:
    step = definition.steps[index]
    action = step.action if direction == Direction.FORWARD else step.compensation or ""
    return PlanLine(step.name, step.participant, action, direction, notes)


def _awaited(step: Step, state: StepState) -> str:
    """Say what a step that has begun waits for."""
    if state.sent:
        return "in flight"
    return _wait_for(step, state.waits_for)


def _wait_for(step: Step, what: WaitsFor) -> str:
    if what == WaitsFor.REPLY:
        return "waits for the reply"
    if what == WaitsFor.SAGA:
        return "waits for the end of its saga"
    if what == WaitsFor.TIME:
        return "waits for its time"
    if what == WaitsFor.SIGNAL:
        return f"waits for the signal {step.signal}"
    return "waits for a decision"


# What a step that is still to begin will wait for.
_WAITS_FOR = {
    StepType.SAGA: WaitsFor.SAGA,
    StepType.TIMER: WaitsFor.TIME,
    StepType.SIGNAL: WaitsFor.SIGNAL,
    StepType.APPROVAL: WaitsFor.APPROVAL,
}


def _notes(definition: Definition, state: SagaState, run: Run) -> tuple[str, ...]:
    step, own = definition.steps[run.step], state.steps[run.step]
    forward = run.direction == Direction.FORWARD
    notes = []
    if forward and step.when:
        notes.append(_condition(step.when))
    if forward and own.blocked is not None:
        notes.append(_lock(own.blocked["lock"]))
    if step.type in _WAITS_FOR and (forward or step.type == StepType.SAGA):
        notes.append(_wait_for(step, _WAITS_FOR[step.type]))
    if told := _history(own, run):
        notes.append(told)
    return tuple(notes)


def _condition(when: str) -> str:
    return f"only if {when}"


def _lock(name: str) -> str:
    return f"waits for the lock {name}"


def _history(step: StepState, run: Run) -> str:
    if step.in_doubt:
        return "its outcome is unknown"
    return f"attempt {run.attempt}" if run.attempt > 1 else ""
