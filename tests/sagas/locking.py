"""Definitions with locks, and sagas of them: defaults plus overrides."""

from __future__ import annotations

from typing import Any

from sagas.core.definition import Definition, Step, StepType
from sagas.models import Saga
from tests.builders import make_saga, make_step, store

ORDER = "order:{input.order}"


def waiting(name: str = "Wait", **overrides: Any) -> Step:
    """A step in which a saga stays until the test lets it go on."""
    return Step(name, "", "", type=StepType.SIGNAL, signal="go", **overrides)


def locked(*steps: Step, **overrides: Any) -> Definition:
    """Store a definition that locks its order and, by default, waits in its second step."""
    steps = steps or (make_step("A"), waiting(), make_step("B"))
    return store(*steps, **({"locks": (ORDER,)} | overrides))


def crossing(name: str, first: str, second: str) -> Definition:
    """Store a definition that takes one lock, waits, and takes another one."""
    return store(
        make_step("A", locks=(first,)), waiting(), make_step("B", locks=(second,)), name=name
    )


def begin(definition: Definition, order: Any = 1) -> Saga:
    return make_saga(definition, key=f"order-{order}", input={"order": order})
