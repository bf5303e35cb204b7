"""What an operator's verb writes to the journal; its consequences follow by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagas.core.definition import Definition
from sagas.core.happenings import Ordered
from sagas.core.journal import Entry, Kind
from sagas.core.moves import has_given_up
from sagas.core.state import SagaState, SagaStatus
from sagas.core.undo import standing
from sagas.core.verbs import (
    Verb,
    begun_anew,
    steps_to_hurry,
    steps_to_retry,
    undone_first,
)


def entries_of(definition: Definition, state: SagaState, order: Ordered) -> list[Entry]:
    """Return the entries of a verb that has been found legal (`verbs.why_not`)."""
    who: dict[str, Any] = {"actor": order.actor, "reason": order.reason}
    verb = Verb(order.verb)
    if verb in _PLAIN:
        return [Entry(_PLAIN[verb], order.at, None, who)]
    return _WRITERS[verb](definition, state, order, who)


_PLAIN = {Verb.PAUSE: Kind.PAUSED, Verb.RESUME: Kind.RESUMED, Verb.CANCEL: Kind.CANCELLED}


def _retry(
    definition: Definition, state: SagaState, order: Ordered, who: dict[str, Any]
) -> list[Entry]:
    data = who | {"steps": list(steps_to_retry(state))}
    if order.edited is not None:
        data["input"] = order.edited[0]
    return [Entry(Kind.RETRIED, order.at, None, data)]


def _compensate(
    definition: Definition, state: SagaState, order: Ordered, who: dict[str, Any]
) -> list[Entry]:
    cause = {"step": "", "class": "Ordered", "message": "An operator ordered compensation."}
    ordered = who if order.steps is None else who | {"steps": list(order.steps)}
    return [
        Entry(Kind.COMPENSATION_ORDERED, order.at, None, ordered),
        Entry(Kind.COMPENSATION_BEGAN, order.at, None, {"cause": state.cause or cause}),
    ]


def _mark_done(
    definition: Definition, state: SagaState, order: Ordered, who: dict[str, Any]
) -> list[Entry]:
    data = who | {"evidence": order.evidence}
    return [Entry(Kind.MARKED_DONE, order.at, order.step, data)]


def _skip(
    definition: Definition, state: SagaState, order: Ordered, who: dict[str, Any]
) -> list[Entry]:
    data = who if order.output is None else who | {"output": order.output}
    skipped = Entry(Kind.STEP_SKIPPED, order.at, order.step, data)
    others = any(
        has_given_up(step) for index, step in enumerate(state.steps) if index != order.step
    )
    if others or state.status != SagaStatus.FAILED:
        return [skipped]
    # Nothing is left that it had stopped for.
    return [skipped, Entry(Kind.RETRIED, order.at, None, who | {"steps": []})]


def _rewind(
    definition: Definition, state: SagaState, order: Ordered, who: dict[str, Any]
) -> list[Entry]:
    to = order.step or 0
    name = definition.steps[to].name
    data = who | {
        "to": to,
        "steps": list(begun_anew(definition, to)),
        "undo": list(undone_first(definition, state, to)),
    }
    message = f"An operator rewinds the saga to {name}."
    cause = {"step": name, "class": "Rewinding", "message": message}
    return [
        Entry(Kind.REWIND_ORDERED, order.at, None, data),
        Entry(Kind.COMPENSATION_BEGAN, order.at, None, {"cause": cause}),
    ]


def _abandon(
    definition: Definition, state: SagaState, order: Ordered, who: dict[str, Any]
) -> list[Entry]:
    names = [definition.steps[index].name for index in standing(state)]
    return [Entry(Kind.ABANDONED, order.at, None, who | {"standing": names})]


def _run_now(
    definition: Definition, state: SagaState, order: Ordered, who: dict[str, Any]
) -> list[Entry]:
    steps = steps_to_hurry(state)
    if order.step is not None:
        steps = tuple(index for index in steps if index == order.step)
    return [Entry(Kind.HURRIED, order.at, None, who | {"steps": list(steps)})]


def _move(
    definition: Definition, state: SagaState, order: Ordered, who: dict[str, Any]
) -> list[Entry]:
    target = order.target or definition
    data = who | {
        "from": definition.version,
        "to": target.version,
        "before": [step.name for step in definition.steps],
        "after": [step.name for step in target.steps],
    }
    if target.timeout_s:
        data["timeout_s"] = target.timeout_s
    return [Entry(Kind.MOVED, order.at, None, data)]


def _approve(
    definition: Definition, state: SagaState, order: Ordered, who: dict[str, Any]
) -> list[Entry]:
    kind = Kind.APPROVED if order.verb == Verb.APPROVE else Kind.REJECTED
    return [Entry(kind, order.at, order.step, who)]


_Writer = Callable[[Definition, SagaState, Ordered, dict[str, Any]], list[Entry]]
_WRITERS: dict[Verb, _Writer] = {
    Verb.RETRY: _retry,
    Verb.COMPENSATE: _compensate,
    Verb.MARK_DONE: _mark_done,
    Verb.SKIP: _skip,
    Verb.REWIND: _rewind,
    Verb.ABANDON: _abandon,
    Verb.RUN_NOW: _run_now,
    Verb.MOVE: _move,
    Verb.APPROVE: _approve,
    Verb.REJECT: _approve,
}
