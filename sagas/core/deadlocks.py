"""Sagas that wait for each other in a circle: one of them has to give way.

The youngest one does, of those that wait for a lock: its step fails, so it is undone and gives its
locks back. Who looks at a circle from another place comes to the same one.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class Edge(NamedTuple):
    """A saga that waits for another; without a lock, for the end of one that it has started."""

    waiter: uuid.UUID
    lock: str
    holder: uuid.UUID


def circle_of(edges: Iterable[Edge], saga_id: uuid.UUID) -> list[Edge]:
    """Return the shortest circle that leads from a saga back to it; empty: there is none."""
    following: defaultdict[uuid.UUID, list[Edge]] = defaultdict(list)
    for edge in edges:
        following[edge.waiter].append(edge)
    ways, seen = [[edge] for edge in following[saga_id]], {saga_id}
    while ways:
        longer = []
        for way in ways:
            last = way[-1].holder
            if last == saga_id:
                return way
            if last not in seen:
                seen.add(last)
                longer += [[*way, edge] for edge in following[last]]
        ways = longer
    return []


def circle_to_break(edges: Iterable[Edge], saga_id: uuid.UUID) -> list[Edge]:
    """Return a circle in which the saga is the one that has to give way; empty: there is none."""
    return circle_of(
        [edge for edge in edges if not edge.lock or edge.waiter <= saga_id],
        saga_id,
    )


def victims(edges: Iterable[Edge], saga_id: uuid.UUID) -> set[uuid.UUID]:
    """Return who has to give way for a saga to go on: the youngest one that waits for a lock."""
    circle = circle_of(edges, saga_id)
    return {max(edge.waiter for edge in circle if edge.lock)} if circle else set()


# Of a longer circle the journal tells the beginning only.
MOST_TOLD = 20


def told(circle: list[Edge]) -> str:
    """Say how a circle goes, from the saga that has to give way back to it; locks in brackets."""
    way = [str(circle[0].waiter)]
    for edge in circle[:MOST_TOLD]:
        way += [f"[{edge.lock}]"] if edge.lock else []
        way.append(str(edge.holder))
    if len(circle) > MOST_TOLD:
        way.append("…")
    return f"It would wait for ever for lock {circle[0].lock}: {' → '.join(way)}."
