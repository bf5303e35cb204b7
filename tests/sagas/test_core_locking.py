"""Circles of sagas that wait for each other: who gives way, and how that is told."""

from __future__ import annotations

import random
import uuid

from sagas.core.deadlocks import MOST_TOLD, Edge, circle_of, circle_to_break, told, victims


def circle(length: int) -> list[Edge]:
    """Return sagas, the oldest first, that wait for each other in a circle."""
    sagas = [uuid.UUID(int=number) for number in range(1, length + 1)]
    following = [*sagas[1:], sagas[0]]
    return [
        Edge(waiter, f"lock {waiter.int}", holder)
        for waiter, holder in zip(sagas, following, strict=True)
    ]


def test_whoever_looks_comes_to_the_same_victim() -> None:
    edges = circle(5)
    youngest = edges[-1].waiter

    for edge in edges:
        shuffled = random.Random(edge.waiter.int).sample(edges, len(edges))
        assert victims(shuffled, edge.waiter) == {youngest}
        assert bool(circle_to_break(shuffled, edge.waiter)) == (edge.waiter == youngest)


def test_who_waits_for_a_circle_is_no_part_of_it() -> None:
    outsider = uuid.UUID(int=9)
    edges = [*circle(3), Edge(outsider, "lock 1", uuid.UUID(int=1))]

    assert circle_of(edges, outsider) == []
    assert victims(edges, outsider) == set()


def test_a_child_that_is_waited_for_is_no_victim() -> None:
    parent, child = uuid.UUID(int=1), uuid.UUID(int=2)
    edges = [Edge(parent, "", child), Edge(child, "p", parent)]

    assert victims(edges, parent) == {child}
    assert told(circle_to_break(edges, child)) == (
        f"It would wait for ever for lock p: {child} → [p] → {parent} → {child}."
    )


def test_of_a_long_circle_the_beginning_is_told() -> None:
    text = told(circle(MOST_TOLD + 100))

    assert text.count("[lock ") == MOST_TOLD
    assert text.endswith("→ ….")
