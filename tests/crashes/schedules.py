"""Drawing schedules of trouble from a seed."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator

from tests.crashes.fuse import Schedule, Trouble, Way

SEED = int(os.environ.get("SEED") or 20_270_104)
SCHEDULES = int(os.environ.get("SCHEDULES") or 2_000)


def draw(name: str, points: int, count: int) -> list[Schedule]:
    """Return so many schedules for a scenario whose work has this many points.

    Half of them strike once, each at another point or in another way as long as there are any;
    the others strike two or three times.
    """
    chance = random.Random(f"{SEED} {name}")
    singles = [(point, way) for way in Way for point in range(1, points + 1)]
    chance.shuffle(singles)
    once: list[Schedule] = [(_trouble(chance, *single),) for single in singles[: (count + 1) // 2]]
    return once + [tuple(_several(chance, points)) for _ in range(count - len(once))]


def one_by_one(way: Way, points: Iterable[int], *, others: Iterable[int] = (0,)) -> list[Schedule]:
    """Return schedules that strike once each, at these points."""
    return [(Trouble(point, way, other),) for point in points for other in others]


def _several(chance: random.Random, points: int) -> Iterator[Trouble]:
    """Give troubles that follow each other: soon, so that the second strikes the recovery."""
    at = chance.randint(1, points)
    for _ in range(chance.choice((2, 2, 3))):
        yield _trouble(chance, at, chance.choice(list(Way)))
        at += chance.randint(1, max(2, points // 3))


def _trouble(chance: random.Random, point: int, way: Way) -> Trouble:
    other = chance.choice((0, chance.randint(1, 60))) if way == Way.STALL else 0
    return Trouble(point, way, other)
