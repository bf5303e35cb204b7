"""Scenarios drawn by chance: graphs, conditions, nested sagas, pivots, and all kinds of answers."""

from __future__ import annotations

import random

from sagas.core.definition import Kind, Step
from tests.crashes.scenarios import SUB_SAGA, Scenario, far, near, post
from tests.crashes.schedules import SEED
from tests.crashes.world import Habits

ON_UNKNOWN = ("retry", "retry", "retry", "compensate", "park", "probe")


def random_programs(count: int) -> list[Scenario]:
    """Return so many scenarios, always the same ones for the same SEED."""
    return [_program(random.Random(f"{SEED} program {number}"), number) for number in range(count)]


def _program(chance: random.Random, number: int) -> Scenario:
    size = chance.randint(2, 6)
    pivot = chance.choice([None, chance.randrange(size)])
    steps = [_step(chance, index, pivot) for index in range(size)]
    child: tuple[Step, ...] = ()
    nested = chance.randrange(size)
    if chance.random() < 0.4 and (pivot is None or nested < pivot):
        steps[nested] = SUB_SAGA._replace(after=steps[nested].after)
        child = (_plain(chance, "X"), _plain(chance, "Y"))
    actions = [action for step in (*steps, *child) for action in (step.action, step.compensation)]
    called = [action for action in actions if action and action not in ("start", "compensate")]
    return Scenario(
        f"program {number}",
        tuple(steps),
        Habits(
            refuses=_some(chance, [action for action in called if action.startswith("do")], 1),
            loses=_some(chance, called, 2),
            busy=_some(chance, called, 2),
            replies=_some(chance, called, 2),
        ),
        child=child,
        concurrency=chance.choice((1, 2, 8)),
        details={"on_failure": chance.choice(("compensate", "compensate", "park"))},
    )


def _step(chance: random.Random, index: int, pivot: int | None) -> Step:
    name = "ABCDEF"[index]
    step = _plain(chance, name)._replace(after=_after(chance, index, pivot))
    if index == pivot:
        return step._replace(kind=Kind.PIVOT)
    if pivot is not None and index > pivot:
        return step._replace(kind=Kind.RETRIABLE, compensation=None)
    on_unknown = chance.choice(ON_UNKNOWN)
    if step.participant == "Post" and on_unknown == "probe":
        # Messages ask nothing.
        on_unknown = "retry"
    return step._replace(
        when=chance.choice(("", "", "", "input.absent", "!(input.absent)")),
        compensation=chance.choice((step.compensation,) * 4 + (None,)),
        on_unknown=on_unknown,
        probe=f"ask{name}" if on_unknown == "probe" else "",
    )


def _plain(chance: random.Random, name: str) -> Step:
    return chance.choice((near, far, far, post))(name)


def _after(chance: random.Random, index: int, pivot: int | None) -> tuple[int, ...] | None:
    """Draw what comes before a step; nothing goes beside the pivot."""
    if index == 0 or chance.random() < 0.4:
        return None
    if index == pivot:
        return tuple(range(index))
    first = pivot if pivot is not None and index > pivot else 0
    before = {place for place in range(first, index) if chance.random() < 0.5}
    return tuple(sorted(before | ({first} if first else set())))


def _some(chance: random.Random, actions: list[str], most: int) -> tuple[str, ...]:
    return tuple(chance.sample(actions, min(len(actions), chance.randint(0, most))))
