"""Locks that sagas hold by name: who wants which, who gets it, who waits or gives it back.

Where they are kept, and who is looked at next, is up to whoever keeps them (`engine.locks`,
`testing.locks`).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sagas.core import deadlocks
from sagas.core.deadlocks import Edge
from sagas.core.definition import Definition, OnLocked
from sagas.core.expressions import ExpressionError, evaluate
from sagas.core.happenings import Blocked, Failed
from sagas.core.mapping import document, input_of
from sagas.core.moves import Run
from sagas.core.state import ENDED, Direction, SagaState, SagaStatus

LONGEST_NAME = 200

_IN_BRACES = re.compile(r"\{([^{}]*)\}")


class Taken(NamedTuple):
    """A lock that another saga holds."""

    name: str
    holder: uuid.UUID


def wanted(
    definition: Definition, state: SagaState, run: Run, given: tuple[Any, dict[str, str]]
) -> tuple[str, ...]:
    """Return the locks that a run wants: none on the way back, none to ask what became of it.

    `given` are the saga's first input and what expressions know of the saga itself. Raises
    ExpressionError for a name that cannot be made.
    """
    if run.direction == Direction.BACKWARD or run.probe:
        return ()
    input, saga = given
    told = document(definition, state, input_of(state, input), saga)
    return lock_names(definition, run.step, told)


def lock_names(definition: Definition, step: int, told: dict[str, Any]) -> tuple[str, ...]:
    """Return the locks that a step wants, in the order in which everybody takes them.

    `told` is what `mapping.document` gives. Raises ExpressionError for a name that cannot be made.
    """
    templates = (*definition.locks, *definition.steps[step].locks)
    return tuple(sorted({_name(template, told) for template in templates}))


def take(names: Iterable[str], saga_id: uuid.UUID, holders: dict[str, uuid.UUID]) -> Taken | None:
    """Take one lock after the other, up to the first that another saga holds; return that one."""
    for name in names:
        holder = holders.setdefault(name, saga_id)
        if holder != saga_id:
            return Taken(name, holder)
    return None


def turned_away(definition: Definition, run: Run, taken: Taken, now: float) -> Failed | None:
    """Return that a run fails at a lock, unless its definition has it wait there."""
    if definition.on_locked != OnLocked.REFUSE:
        return None
    message = f"Lock {taken.name} is held by saga {taken.holder}."
    return failed(run, "Locked", message, now)


def stopped(
    edges: Sequence[Edge], saga_id: uuid.UUID, run: Run, taken: Taken, now: float
) -> Blocked | Failed:
    """Return that a run waits for a lock; it fails if it would wait for ever and gives way.

    `edges` tell who waits for whom, this run's own wait included. Another one may have to give
    way for it (`deadlocks.victims`).
    """
    if circle := deadlocks.circle_to_break(edges, saga_id):
        return failed(run, "Deadlock", deadlocks.told(circle), now)
    return Blocked(now, run.step, taken.name, str(taken.holder))


def failed(run: Run, error_class: str, message: str, now: float) -> Failed:
    """Return that a run cannot begin for want of its locks."""
    error = {"class": error_class, "message": message, "retryable": False}
    return Failed(now, *run[:3], error)


def may_inherit(state: SagaState) -> bool:
    """Say whether a saga in the queue can get a lock now; one that cannot keeps its place."""
    return state.status == SagaStatus.RUNNING and state.paused_at is None


def gives_back(definition: Definition, state: SagaState) -> bool:
    """Say whether a saga has ended, or goes on under a version that knows no locks."""
    return state.status in ENDED or not definition.takes_locks


def given_up(definition: Definition, before: SagaState, after: SagaState) -> set[str]:
    """Return the locks that a saga waits for no more, be it that its new version knows none."""
    return _blocking(before) - awaited(definition, after)


def awaited(definition: Definition, state: SagaState) -> set[str]:
    """Return the locks that a saga waits for; one that stops or is undone waits for none."""
    return _blocking(state) if definition.takes_locks else set()


def _blocking(state: SagaState) -> set[str]:
    if state.status != SagaStatus.RUNNING:
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
