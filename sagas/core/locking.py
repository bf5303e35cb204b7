"""Locks that sagas hold by name: which ones a step wants, and which ones a saga waits for."""

from __future__ import annotations

import re
from typing import Any

from sagas.core.definition import Definition
from sagas.core.expressions import ExpressionError, evaluate
from sagas.core.state import SagaState, SagaStatus

LONGEST_NAME = 200

_IN_BRACES = re.compile(r"\{([^{}]*)\}")


def lock_names(definition: Definition, step: int, told: dict[str, Any]) -> tuple[str, ...]:
    """Return the locks that a step wants, in the order in which everybody takes them.

    `told` is what `mapping.document` gives. Raises ExpressionError for a name that cannot be made.
    """
    templates = (*definition.locks, *definition.steps[step].locks)
    return tuple(sorted({_name(template, told) for template in templates}))


def awaited(definition: Definition, state: SagaState) -> set[str]:
    """Return the locks that a saga waits for; one that stops or is undone waits for none."""
    if state.status != SagaStatus.RUNNING or not definition.takes_locks:
        return set()
    return {step.blocked["lock"] for step in state.steps if step.blocked is not None}


def _name(template: str, told: dict[str, Any]) -> str:
    name = _IN_BRACES.sub(lambda match: _text(match[1], told), template)
    if len(name) > LONGEST_NAME:
        raise ExpressionError(template, f"gives a name of more than {LONGEST_NAME} characters")
    return name


def _text(expression: str, told: dict[str, Any]) -> str:
    value = evaluate(expression, told)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise ExpressionError(expression, "gives no text or number for the name of a lock")
    return str(value)
