"""The proof that every order is wholly done, wholly undone, or failed and waiting for a person.

Two independent witnesses are compared: what the console says of its sagas, and what really stands
in the participants' own tables. `python manage.py check_effects` reads both.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

MOVING = ("running", "compensating")
# The step was decided by an operator; the participant's table may say otherwise.
BY_HAND = ("done_by_hand", "skipped", "not_needed")


class Effect(NamedTuple):
    """One row of a participant: what was done once, and whether it still stands."""

    service: str
    id: int
    saga_id: str
    business_key: str
    step: str
    action: str
    stands: bool

    def __str__(self) -> str:
        return f"{self.step} ({self.service} {self.id})"


class StepRow(NamedTuple):
    """A step of one saga; `undoable`: its definition names a compensation.

    `times`: how often it was ordered, under a new key each time: after a "no", or rewound.
    """

    name: str
    status: str
    undoable: bool = True
    times: int = 1


class SagaRow(NamedTuple):
    """A saga as the console sees it, with the steps whose participants' tables are compared."""

    id: str
    business_key: str
    status: str
    steps: tuple[StepRow, ...]


class Finding(NamedTuple):
    business_key: str
    saga_id: str
    what: str


class Report(NamedTuple):
    """`sagas` and `standing` count sagas and effects that stand, by the sagas' status."""

    sagas: Counter[str]
    standing: Counter[str]
    # What must never be.
    violations: list[Finding]
    # Not at an end yet.
    moving: list[Finding]
    # Failed or abandoned, with all that still stands for it.
    stopped: list[Finding]


def verdict(sagas: Iterable[SagaRow], effects: Iterable[Effect]) -> Report:
    """Compare what the console says with what the participants did."""
    report = Report(Counter(), Counter(), [], [], [])
    effects_of: dict[str, list[Effect]] = defaultdict(list)
    for effect in effects:
        effects_of[effect.saga_id].append(effect)
    for saga in sagas:
        own = effects_of.pop(saga.id, [])
        standing = [effect for effect in own if effect.stands]
        report.sagas[saga.status] += 1
        report.standing[saga.status] += len(standing)
        for what in violations(saga, own):
            report.violations.append(Finding(saga.business_key, saga.id, what))
        if saga.status in MOVING:
            report.moving.append(Finding(saga.business_key, saga.id, f"is still {saga.status}"))
        elif saga.status in ("failed", "abandoned"):
            what = ", ".join(map(str, standing)) or "nothing"
            report.stopped.append(
                Finding(saga.business_key, saga.id, f"{saga.status}; what stands: {what}")
            )
    for saga_id, orphans in effects_of.items():
        for effect in orphans:
            what = f"{effect} belongs to no saga"
            report.violations.append(Finding(effect.business_key, saga_id, what))
    return report


def violations(saga: SagaRow, effects: list[Effect]) -> Iterator[str]:
    """Give everything that must not be so with this saga and its effects."""
    by_step: dict[str, list[Effect]] = defaultdict(list)
    for effect in effects:
        by_step[effect.step].append(effect)
    ordered = {step.name: step.times for step in saga.steps}
    for name, done in by_step.items():
        standing_now = sum(effect.stands for effect in done)
        if standing_now > 1 or len(done) > ordered.get(name, 1):
            yield f"{name} was done {len(done)} times"
    for step in saga.steps:
        if step.status in BY_HAND:
            continue
        standing = [effect for effect in by_step[step.name] if effect.stands]
        if saga.status == "completed" and not standing:
            yield f"is completed, but {step.name} does not stand"
        if saga.status == "compensated" and standing and step.undoable:
            yield f"is compensated, but {standing[0]} still stands"


def read_effects(data: Path) -> Iterator[Effect]:
    """Read the tables of every participant in a folder, while they work or afterwards."""
    for file in sorted(data.glob("*.sqlite3")):
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(
                "SELECT id, saga_id, business_key, step, action, status = 'active'"
                " FROM effects ORDER BY id"
            )
            for row_id, saga_id, business_key, step, action, stands in rows:
                yield Effect(file.stem, row_id, saga_id, business_key, step, action, bool(stands))
