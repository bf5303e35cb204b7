"""Operators' verbs in a simulation, refused where the real ones are."""

from __future__ import annotations

from typing import Any

from sagas.core.definition import Definition
from sagas.core.happenings import Ordered
from sagas.core.verbs import TAKE_STEPS, Verb, steps_of, why_not, why_not_edit, why_not_move
from sagas.testing.played import PlayedSaga


class OrderRefused(Exception):
    """The verb is not legal in this state; the text is what an operator would be told."""


def ordered(
    saga: PlayedSaga,
    verb: str,
    at: float,
    by: str,
    reason: str,
    *,
    step: str | None = None,
    steps: tuple[str, ...] | list[str] | None = None,
    target: Definition | None = None,
    evidence: str = "",
    output: Any = None,
    input: Any = None,
) -> Ordered:
    """Return the order as a happening. Raises OrderRefused."""
    wanted = Verb(verb.replace(" ", "_").replace("-", "_"))
    definition, state = saga.definition, saga.state
    why = why_not(definition, state, wanted)
    if why is None and input is not None:
        why = why_not_edit(state)
    if why is None and target is not None:
        why = why_not_move(definition, state, target)
    if why is not None:
        raise OrderRefused(why)
    index = None if step is None else _index(saga, wanted, step)
    chosen = None if steps is None else tuple(_index(saga, wanted, name) for name in steps)
    return Ordered(
        at,
        wanted,
        by,
        reason,
        step=index,
        evidence=evidence,
        steps=chosen,
        output=output,
        edited=None if input is None else (input,),
        target=target,
    )


def _index(saga: PlayedSaga, verb: Verb, name: str) -> int:
    index = saga.definition.index_of(name)
    if verb in TAKE_STEPS and index not in steps_of(verb, saga.definition, saga.state):
        raise OrderRefused(f"{verb.value} is not for {name} now.")
    return index
