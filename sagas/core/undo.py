"""Which effects of a saga stand, and which of them still have to be undone."""

from __future__ import annotations

from sagas.core.definition import Definition, Kind
from sagas.core.state import IDLE_WAITS, SagaState, StepState, StepStatus

# In doubt, these may have an effect all the same.
_MAY_HAVE = frozenset(
    {StepStatus.FAILED, StepStatus.UNKNOWN, StepStatus.PENDING, StepStatus.SKIPPED}
)


def effect_may_stand(step: StepState) -> bool:
    """Say whether the step has, or may have, an effect that nobody has undone."""
    if step.status == StepStatus.WAITING:
        return step.waits_for not in IDLE_WAITS
    return (
        step.status
        in (
            StepStatus.SUCCEEDED,
            StepStatus.RUNNING,
            StepStatus.COMPENSATING,
            StepStatus.COMPENSATION_FAILED,
        )
        or step.in_doubt
    )


def undo_set(state: SagaState) -> list[int]:
    """Return the steps whose undo is still open, in reverse order of start.

    Where an operator has chosen steps, only those, in the order chosen. An unknown outcome always
    belongs to it; a spent undo does not, it waits for an operator.
    """
    indexes = [
        index
        for index, step in enumerate(state.steps)
        if step.status in (StepStatus.SUCCEEDED, StepStatus.COMPENSATING)
        or (step.in_doubt and step.status in _MAY_HAVE)
    ]
    if state.chosen is not None:
        return [index for index in state.chosen if index in indexes]
    return sorted(indexes, key=lambda index: -state.steps[index].order)


def standing(state: SagaState) -> list[int]:
    """Return the steps in the ledger of effects that still stand, last one first."""
    indexes = [index for index, step in enumerate(state.steps) if effect_may_stand(step)]
    return sorted(indexes, key=lambda index: -state.steps[index].order)


def pivot_passed(definition: Definition, state: SagaState) -> bool:
    """Say whether the point of no return has been, or may have been, passed."""
    return any(
        step.kind == Kind.PIVOT and effect_may_stand(step_state)
        for step, step_state in zip(definition.steps, state.steps, strict=True)
    )
