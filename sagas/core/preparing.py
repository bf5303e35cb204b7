"""What a step needs before its participant is called: its condition, its input, or its wait."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sagas.core import happenings as h
from sagas.core.definition import WAITS, Definition, Step, StepType
from sagas.core.expressions import ExpressionError, evaluate, is_true
from sagas.core.mapping import apply, document, input_of
from sagas.core.moves import Run
from sagas.core.state import Direction, SagaState, WaitsFor

_WAITS_FOR = {
    StepType.TIMER: WaitsFor.TIME,
    StepType.SIGNAL: WaitsFor.SIGNAL,
    StepType.APPROVAL: WaitsFor.APPROVAL,
}


_YEAR_10000 = 253_402_300_800


class Ready(NamedTuple):
    """The participant can be called with this input."""

    input: Any


Prepared = Ready | h.Skipped | h.Waiting | h.Failed


def prepare(
    definition: Definition,
    state: SagaState,
    run: Run,
    at: float,
    context: tuple[Any, dict[str, str]],
) -> Prepared:
    """Return the input of the call, or what happens in its place.

    `context` is the input that the saga was started with, and {"id", "business_key"} of it.
    """
    step = definition.steps[run.step]
    first, saga = context
    forward = run.direction == Direction.FORWARD
    input = input_of(state, first, None if forward else run.step) if state.editions else first
    if not step.when and step.input is None and step.type not in WAITS:
        return Ready(input)
    try:
        told = document(definition, state, input, saga)
        if forward and step.when and not is_true(evaluate(step.when, told)):
            return h.Skipped(at, run.step)
        if step.type in WAITS:
            return h.Waiting(at, *run[:3], _WAITS_FOR[step.type], _wake_at(step, at, told))
        return Ready(input if step.input is None else apply(step.input, told))
    except ExpressionError as problem:
        error = {"class": "InvalidMapping", "message": str(problem), "retryable": False}
        return h.Failed(at, *run[:3], error)


def _wake_at(step: Step, at: float, told: dict[str, Any]) -> float | None:
    if step.type != StepType.TIMER:
        return None if step.within_s is None else at + step.within_s
    if step.wait_s is not None:
        return at + step.wait_s
    return _time(step.until, evaluate(step.until, told))


def _time(expression: str, value: Any) -> float:
    """Read a time: RFC 3339 with its offset from UTC, or Unix seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < _YEAR_10000:
            raise ExpressionError(expression, "gives a time that no calendar has")
        return float(value)
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ExpressionError(expression, "gives no time (RFC 3339, or Unix seconds)") from None
    if time.tzinfo is None:
        raise ExpressionError(expression, "gives a time without its offset from UTC")
    return time.timestamp()
