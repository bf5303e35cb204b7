"""The steps of a definition as a graph: what comes before what, and how long all of it takes."""

from __future__ import annotations

from collections.abc import Sequence

from sagas.core.definition import Definition, Step, StepType


def predecessors(steps: Sequence[Step]) -> list[tuple[int, ...]]:
    """Return for each step the places of those that it waits for.

    Only earlier ones count, so a graph without circles comes out whatever is written.
    """
    return [
        ((place - 1,) if place else ())
        if step.after is None
        else tuple(before for before in step.after if 0 <= before < place)
        for place, step in enumerate(steps)
    ]


def ancestors(steps: Sequence[Step]) -> list[frozenset[int]]:
    """Return for each step all that must be done before it."""
    found: list[frozenset[int]] = []
    for direct in predecessors(steps):
        found.append(frozenset(direct).union(*(found[place] for place in direct)))
    return found


def is_linear(steps: Sequence[Step]) -> bool:
    """Say whether each step waits for the one written before it, and for no other."""
    return all(step.after is None for step in steps)


def duration_s(step: Step) -> float:
    """Return how long one try of a step may take; a wait without an end counts nothing."""
    if step.type == StepType.ACTION:
        return step.timeout_s
    return (step.wait_s if step.type == StepType.TIMER else step.within_s) or 0.0


def longest_path(definition: Definition) -> tuple[float, list[int]]:
    """Return the longest time from the start to the end, and the steps that make it up."""
    steps = definition.steps
    best: list[tuple[float, int | None]] = []
    for place, before in enumerate(predecessors(steps)):
        last = max(before, key=lambda earlier: best[earlier][0], default=None)
        begins = 0.0 if last is None else best[last][0]
        best.append((begins + duration_s(steps[place]), last))
    place_of_last = max(range(len(best)), key=lambda place: best[place][0], default=None)
    path: list[int] = []
    at = place_of_last
    while at is not None:
        path.append(at)
        at = best[at][1]
    total = 0.0 if place_of_last is None else best[place_of_last][0]
    return total, path[::-1]
