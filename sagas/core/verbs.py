"""What an operator may do with a saga, and when. What it writes is in `core.orders`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from sagas.core.definition import Definition, Kind
from sagas.core.moves import TO_BE_DONE, is_ready
from sagas.core.state import (
    ENDED,
    IDLE_WAITS,
    MOVING,
    SagaState,
    SagaStatus,
    StepStatus,
    WaitsFor,
)
from sagas.core.undo import effect_may_stand, pivot_passed, standing, undo_set


class Verb(StrEnum):
    RETRY = "retry"
    COMPENSATE = "compensate"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    MARK_DONE = "mark_done"
    SKIP = "skip"
    REWIND = "rewind"
    RUN_NOW = "run_now"
    MOVE = "move"
    ABANDON = "abandon"
    APPROVE = "approve"
    REJECT = "reject"


def legal(definition: Definition, state: SagaState) -> tuple[Verb, ...]:
    """Return the verbs that may be given now."""
    return tuple(verb for verb in Verb if why_not(definition, state, verb) is None)


def why_not(definition: Definition, state: SagaState, verb: Verb) -> str | None:
    """Return why the verb is refused now, in words for an operator, or None when it is legal."""
    return _REFUSALS[verb](definition, state)


def steps_to_mark(definition: Definition, state: SagaState) -> tuple[int, ...]:
    """Return the steps whose undo an operator may mark as done by hand, last effect first.

    Only while the saga has stopped: as long as it moves, the engine decides. Of one that is being
    rewound only what is done anew: without the effects that stay it could not go forward again.
    """
    if state.status != SagaStatus.FAILED:
        return ()
    return tuple(
        index
        for index in steps_to_compensate(definition, state)
        if state.rewinding is None or index in state.rewinding
    )


def steps_to_retry(state: SagaState) -> tuple[int, ...]:
    """Return the steps that a retry starts again: every branch that failed, not the last one."""
    failed = {StepStatus.FAILED, StepStatus.UNKNOWN}
    if state.backward:
        failed = {StepStatus.COMPENSATION_FAILED}
    return tuple(index for index, step in enumerate(state.steps) if step.status in failed)


def steps_to_compensate(definition: Definition, state: SagaState) -> tuple[int, ...]:
    """Return the steps that may be chosen to be undone, last effect first."""
    return tuple(
        index for index in standing(state) if definition.steps[index].compensation is not None
    )


def steps_to_skip(definition: Definition, state: SagaState) -> tuple[int, ...]:
    """Return the steps that may be counted as done: failed, next in line, or only waiting."""
    if state.status == SagaStatus.RUNNING:
        skippable = IDLE_WAITS - {WaitsFor.APPROVAL}
        return tuple(
            index
            for index, step in enumerate(state.steps)
            if step.status == StepStatus.WAITING and step.waits_for in skippable
        )
    return tuple(
        index
        for index, step in enumerate(state.steps)
        if step.status in TO_BE_DONE and is_ready(definition, state, index)
    )


def steps_to_hurry(state: SagaState) -> tuple[int, ...]:
    """Return the steps that wait for a time: in back-off, or timers."""
    return tuple(
        index
        for index, step in enumerate(state.steps)
        if step.wake_at is not None
        and (
            step.status in TO_BE_DONE
            or (step.status == StepStatus.COMPENSATING and not step.accepted)
            or (step.status == StepStatus.WAITING and step.waits_for == WaitsFor.TIME)
        )
    )


def steps_to_approve(state: SagaState) -> tuple[int, ...]:
    """Return the steps that wait for somebody's decision."""
    return tuple(
        index
        for index, step in enumerate(state.steps)
        if step.status == StepStatus.WAITING and step.waits_for == WaitsFor.APPROVAL
    )


def steps_to_rewind(definition: Definition, state: SagaState) -> tuple[int, ...]:
    """Return the steps to which the saga may be rewound: begun, and all after them can be undone.

    What stays must not have been undone, and what is behind a point of no return stays done.
    """
    return tuple(
        index
        for index, step in enumerate(state.steps)
        if step.order and _can_rewind(definition, state, begun_anew(definition, index))
    )


def _can_rewind(definition: Definition, state: SagaState, anew: tuple[int, ...]) -> bool:
    spoiled = UNDONE | {StepStatus.COMPENSATING, StepStatus.COMPENSATION_FAILED}
    return all(
        not effect_may_stand(step) or definition.steps[index].kind == Kind.COMPENSATABLE
        if index in anew
        else step.status not in spoiled
        for index, step in enumerate(state.steps)
    )


def begun_anew(definition: Definition, to: int) -> tuple[int, ...]:
    """Return the step and all that come after it."""
    anew = {to}
    for index, step in enumerate(definition.steps):
        before = (index - 1,) if step.after is None else step.after
        if index > to and anew.intersection(before):
            anew.add(index)
    return tuple(sorted(anew))


def undone_first(definition: Definition, state: SagaState, to: int) -> tuple[int, ...]:
    """Return the steps whose effects are undone when the saga is rewound, last effect first."""
    anew = begun_anew(definition, to)
    return tuple(index for index in standing(state) if index in anew)


def why_not_edit(state: SagaState) -> str | None:
    """Return why a retry cannot have another input, or None."""
    if state.backward:
        return "Only a step that goes forward can have another input."
    if any(state.steps[index].in_doubt for index in steps_to_retry(state)):
        return (
            "Nobody knows whether the last attempt took effect; another input would do it twice. "
            "Retry it as it is, skip it, or compensate."
        )
    return None


def why_not_move(definition: Definition, state: SagaState, target: Definition) -> str | None:
    """Return why the saga cannot go on under that version, or None."""
    if target.name != definition.name or target.version == definition.version:
        return "Choose another version of the same definition."
    kept = {step.name: step for step in target.steps}
    for step, step_state in zip(definition.steps, state.steps, strict=True):
        begun = step_state.order or step_state.status != StepStatus.PENDING
        if begun and step.name not in kept:
            return f"The other version has no step {step.name}, which has begun."
        if begun and kept[step.name].type != step.type:
            return f"{step.name}, which has begun, is of another type in the other version."
    return None


def why_not_release(status: str, *, paused: bool) -> str | None:
    """Return why nobody may take a lock from a saga now, or None."""
    if status not in MOVING or paused:
        return None
    return (
        "Only a saga that is paused or has failed can lose a lock; "
        f"this one is {status}. Pause it first."
    )


def steps_of(verb: Verb, definition: Definition, state: SagaState) -> tuple[int, ...]:
    """Return the places of the steps that the verb can be given for; none if it takes no step."""
    return _STEPS[verb](definition, state) if verb in _STEPS else ()


_STEPS: dict[Verb, Callable[[Definition, SagaState], tuple[int, ...]]] = {
    Verb.MARK_DONE: steps_to_mark,
    Verb.SKIP: steps_to_skip,
    Verb.REWIND: steps_to_rewind,
    Verb.COMPENSATE: steps_to_compensate,
    Verb.RUN_NOW: lambda definition, state: steps_to_hurry(state),
    Verb.APPROVE: lambda definition, state: steps_to_approve(state),
    Verb.REJECT: lambda definition, state: steps_to_approve(state),
}
TAKE_STEPS = frozenset(_STEPS)

# A step whose effect is gone: a saga that has one can no longer go forward.
UNDONE = frozenset({StepStatus.DONE_BY_HAND, StepStatus.COMPENSATED, StepStatus.NOT_NEEDED})


def _refuse_retry(definition: Definition, state: SagaState) -> str | None:
    if state.status != SagaStatus.FAILED:
        return f"Only a failed saga can be retried; this one is {state.status}."
    if not state.backward and any(step.status in UNDONE for step in state.steps):
        return "Effects of it have been undone by hand, so it cannot go forward; compensate it."
    # Forwards there is always a step to go on with: a deadline may have stopped it before one.
    if state.backward and not steps_to_retry(state) and not undo_set(state):
        return "No undo has failed that could be tried again."
    return None


def _refuse_compensate(definition: Definition, state: SagaState) -> str | None:
    if state.status not in (SagaStatus.FAILED, SagaStatus.COMPLETED):
        return f"Only a failed or completed saga can be compensated; this one is {state.status}."
    # What an operator has left out before may still be undone.
    if state.backward and not undo_set(state._replace(chosen=None)):
        return "Compensation has begun already; retry what failed or mark it as done by hand."
    return None


def _refuse_pause(definition: Definition, state: SagaState) -> str | None:
    if state.status not in MOVING:
        return f"Only a moving saga can be paused; this one is {state.status}."
    if state.paused_at is not None:
        return "It is paused already."
    return None


def _refuse_resume(definition: Definition, state: SagaState) -> str | None:
    return "It is not paused." if state.paused_at is None else None


def _refuse_cancel(definition: Definition, state: SagaState) -> str | None:
    if state.status == SagaStatus.COMPENSATING:
        return "It is being undone already, and an undo is never aborted."
    if state.status != SagaStatus.RUNNING:
        return f"Only a running saga can be cancelled; this one is {state.status}."
    if state.cancelling:
        return "It is being cancelled already."
    if pivot_passed(definition, state):
        return "The point of no return has been passed; it can only go forward."
    return None


def _refuse_mark_done(definition: Definition, state: SagaState) -> str | None:
    if state.status != SagaStatus.FAILED:
        return f"Steps are marked by hand only while a saga has failed; this one is {state.status}."
    if not steps_to_mark(definition, state):
        return "No effect of this saga stands."
    return None


def _refuse_skip(definition: Definition, state: SagaState) -> str | None:
    if state.status not in (SagaStatus.FAILED, SagaStatus.RUNNING) or state.backward:
        return f"Steps are skipped only on the way forward; this saga is {state.status}."
    if not steps_to_skip(definition, state):
        return "No step of it has failed or waits for something that could be skipped."
    if any(step.status in UNDONE for step in state.steps):
        return "Effects of it have been undone by hand, so it cannot go forward; compensate it."
    return None


def _refuse_rewind(definition: Definition, state: SagaState) -> str | None:
    if state.status != SagaStatus.FAILED:
        return f"Only a failed saga can be rewound; this one is {state.status}."
    if not steps_to_rewind(definition, state):
        return "There is no step from which it could be done again."
    return None


def _refuse_run_now(definition: Definition, state: SagaState) -> str | None:
    if state.status not in MOVING or state.paused_at is not None or not steps_to_hurry(state):
        return "No step of it waits for its time."
    return None


def _refuse_move(definition: Definition, state: SagaState) -> str | None:
    if state.status in (SagaStatus.COMPENSATING, *ENDED):
        return (
            "Only a saga that runs or has failed can go on under another version; this one is "
            f"{state.status}."
        )
    if state.rewinding is not None or state.chosen is not None:
        return "An order of an operator is not finished; retry or compensate it first."
    if any(step.sent or step.status == StepStatus.WAITING for step in state.steps):
        return "A step is in flight or waits; pause the saga and try again when it is done."
    return None


def _refuse_abandon(definition: Definition, state: SagaState) -> str | None:
    if state.status != SagaStatus.FAILED:
        return f"Only a failed saga can be abandoned; this one is {state.status}."
    return None


def _refuse_decision(definition: Definition, state: SagaState) -> str | None:
    if state.status != SagaStatus.RUNNING or not steps_to_approve(state):
        return "It waits for nobody's decision."
    if state.paused_at is not None:
        return "It is paused; resume it first."
    return None


_REFUSALS = {
    Verb.RETRY: _refuse_retry,
    Verb.COMPENSATE: _refuse_compensate,
    Verb.PAUSE: _refuse_pause,
    Verb.RESUME: _refuse_resume,
    Verb.CANCEL: _refuse_cancel,
    Verb.MARK_DONE: _refuse_mark_done,
    Verb.SKIP: _refuse_skip,
    Verb.REWIND: _refuse_rewind,
    Verb.RUN_NOW: _refuse_run_now,
    Verb.MOVE: _refuse_move,
    Verb.ABANDON: _refuse_abandon,
    Verb.APPROVE: _refuse_decision,
    Verb.REJECT: _refuse_decision,
}
