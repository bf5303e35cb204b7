"""The point of no return: what may come before it, after it, and at the same time."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sagas.core.definition import WAITS, Definition, Kind, StepType
from sagas.definitions.exceptions import Fault
from sagas.definitions.ordering import ancestors
from sagas.definitions.step_types import must_be_retriable
from sagas.definitions.wording import quoted


def check_undos(definition: Definition, *, silent: Collection[int]) -> Iterator[Fault]:
    """Report steps that could have to be undone and say nothing about how."""
    pivot = _pivot(definition)
    before = ancestors(definition.steps)
    for index in silent:
        step = definition.steps[index]
        may_be_undone = step.kind == Kind.COMPENSATABLE and pivot not in before[index]
        if step.type == StepType.ACTION and may_be_undone:
            yield (
                ("steps", index, "compensation"),
                "is missing; name the action that undoes this step, or write none if there is "
                "nothing to undo",
            )


def check_kinds(definition: Definition) -> Iterator[Fault]:
    """Report what contradicts the pivot: a second one, and steps that would lead back over it."""
    pivot = _pivot(definition)
    before = ancestors(definition.steps)
    if pivot is None:
        for index, step in enumerate(definition.steps):
            if step.kind == Kind.RETRIABLE:
                yield ("steps", index, "kind"), _WITHOUT_PIVOT
        return
    yield from _check_pivot(definition, pivot, before)
    for index in range(len(definition.steps)):
        if pivot in before[index]:
            yield from _check_after(definition, index, pivot)
        elif index in before[pivot]:
            if definition.steps[index].kind == Kind.RETRIABLE:
                yield ("steps", index, "kind"), _WITHOUT_PIVOT
        elif index != pivot:
            name = quoted(definition.steps[pivot].name)
            yield (
                ("steps", index),
                f"may run at the same time as the pivot {name}; let it come before or after it",
            )


_WITHOUT_PIVOT = (
    "retriable without a pivot before it; give the step that is the point of no return kind pivot"
)


def _pivot(definition: Definition) -> int | None:
    places = (i for i, step in enumerate(definition.steps) if step.kind == Kind.PIVOT)
    return next(places, None)


def _check_pivot(
    definition: Definition, pivot: int, before: list[frozenset[int]]
) -> Iterator[Fault]:
    step = definition.steps[pivot]
    if step.type == StepType.SAGA:
        yield (
            ("steps", pivot, "kind"),
            "pivot is no kind for a step that starts another saga, because that can be undone; "
            "make a step that calls a service the pivot",
        )
    if step.when and any(pivot in earlier for earlier in before):
        yield (
            ("steps", pivot, "when"),
            "may leave out the pivot, on which the steps after it rely; remove the condition, or "
            "give those steps the same one in a saga of their own",
        )


def _check_after(definition: Definition, index: int, pivot: int) -> Iterator[Fault]:
    step, name = definition.steps[index], quoted(definition.steps[pivot].name)
    if step.kind == Kind.PIVOT:
        message = f"pivot a second time, after {name}; a saga has one point of no return"
        yield ("steps", index, "kind"), message
    elif must_be_retriable(step) and step.type in WAITS:
        yield (
            ("steps", index, "on_timeout"),
            f"fail after the pivot {name}, from where there is no way back; let the saga "
            "continue, or remove the timeout",
        )
    elif must_be_retriable(step):
        yield (
            ("steps", index, "kind"),
            f"compensatable after the pivot {name}; make it retriable, or move it before the pivot",
        )
