"""What stands around one saga: the sagas it started, the one that started it, who holds its locks,
and what its steps wait for somebody to decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sagas.changes import changes_between
from sagas.core.definition import Definition, Step
from sagas.core.journal import Kind
from sagas.core.state import MOVING, SagaState
from sagas.core.verbs import Verb, steps_to_approve, why_not
from sagas.models import JournalEntry, Saga
from sagas.verbs import may_decide


class Decision(NamedTuple):
    """A step that waits for somebody's decision."""

    step: Step
    since: datetime | None
    # Unix seconds; None: for as long as it takes.
    until: float | None
    # Whether whoever looks at it is in its group.
    is_yours: bool


class Edition(NamedTuple):
    """An input that an operator has put in the place of the one before."""

    number: int
    changes: list[dict[str, Any]]
    actor: str
    at: datetime | None


def related(state: SagaState) -> dict[str, Saga]:
    """Return the sagas that the state names, by id: children, parent, holders of locks."""
    named = [step.child for step in state.steps]
    named += [step.blocked["holder"] for step in state.steps if step.blocked]
    if state.parent is not None:
        named.append(state.parent["saga"])
    ids = {found for text in named if (found := _read_id(text))}
    if not ids:
        return {}
    sagas = Saga.objects.select_related("definition").defer(
        "state", "definition__spec", "definition__source"
    )
    return {str(pk): saga for pk, saga in sagas.in_bulk(ids).items()}


def _read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def decisions(
    definition: Definition, state: SagaState, journal: Sequence[JournalEntry], user: Any
) -> list[Decision]:
    """Return what waits for a decision now."""
    if why_not(definition, state, Verb.APPROVE) is not None:
        return []
    return [
        Decision(
            definition.steps[place],
            waiting_since(definition.steps[place].name, journal),
            state.steps[place].wake_at,
            may_decide(definition, place, user),
        )
        for place in steps_to_approve(state)
    ]


def waiting_since(step: str, journal: Iterable[JournalEntry]) -> datetime | None:
    """Return when a step last began to wait."""
    waits = [entry.at for entry in journal if entry.step == step and entry.kind in WAITS]
    return waits[-1] if waits else None


WAITS = frozenset({Kind.STEP_WAITING, Kind.LOCK_AWAITED, Kind.UNDO_WAITING})


def editions(state: SagaState, first: Any, journal: Iterable[JournalEntry]) -> list[Edition]:
    """Return how operators have changed the input, newest first."""
    if not state.editions:
        return []
    orders = [entry for entry in journal if "input" in entry.data and entry.kind == Kind.RETRIED]
    # The page may show the newest part of a long journal only.
    known = [None] * (len(state.editions) - len(orders)) + orders[-len(state.editions) :]
    befores = [first, *state.editions]
    found = [
        Edition(
            number,
            changes_between(before, after),
            entry.data.get("actor") or "" if entry else "",
            entry.at if entry else None,
        )
        for number, (before, after, entry) in enumerate(
            zip(befores, state.editions, known, strict=False), start=1
        )
    ]
    return found[::-1]


def signals_of(definition: Definition, state: SagaState) -> list[str]:
    """Return the names of the signals that can be sent to it now."""
    if state.status not in MOVING:
        return []
    return sorted({step.signal for step in definition.steps if step.signal})
