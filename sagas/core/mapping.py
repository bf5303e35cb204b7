"""What a step is given, made from the saga's input and what the steps before returned."""

from __future__ import annotations

from typing import Any

from sagas.core.definition import Definition, Mapping
from sagas.core.expressions import evaluate
from sagas.core.state import SagaState, StepStatus


def apply(mapping: Mapping, document: Any) -> Any:
    """Return what the expressions give for a document. Raises ExpressionError."""
    if isinstance(mapping, str):
        return evaluate(mapping, document)
    return {field: evaluate(expression, document) for field, expression in mapping.items()}


def document(
    definition: Definition, state: SagaState, input: Any, saga: dict[str, str]
) -> dict[str, Any]:
    """Return what expressions are evaluated on: {"input", "outputs", "saga"}."""
    return {"input": input, "outputs": outputs(definition, state), "saga": saga}


def outputs(definition: Definition, state: SagaState) -> dict[str, Any]:
    """Return what the steps that succeeded have returned, by step name."""
    steps = definition.steps
    return {
        steps[index].name: step.output
        for index, step in enumerate(state.steps)
        if step.output is not None and step.status != StepStatus.PENDING
    }


def input_of(state: SagaState, first: Any, step: int | None = None) -> Any:
    """Return the input that counts: that with which a step was begun, else the newest one."""
    edition = len(state.editions) if step is None else state.steps[step].edition
    return state.editions[edition - 1] if edition else first
