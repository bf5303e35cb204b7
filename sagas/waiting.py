"""Sagas that wait for something no worker has: how many, for what, and since when."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from outbox.paging import CappedCount, count_up_to
from sagas import catalogue, missing
from sagas.core import definition as core
from sagas.core.moves import Run, next_moves
from sagas.core.state import Direction, from_json
from sagas.missing import Kind, Missing
from sagas.models import Definition, Saga

# Sagas that are looked at for each thing that is missing.
COUNT_CAP = 1_000


class Waiting(NamedTuple):
    """Something missing, since when (Unix seconds), and the sagas that wait for it."""

    missing: Missing
    since: float
    sagas: CappedCount
    definitions: list[str]

    @property
    def what(self) -> str:
        return f"{self.missing.name}.{self.missing.detail}"

    @property
    def is_action(self) -> bool:
        return self.missing.kind == Kind.ACTION

    @property
    def is_route(self) -> bool:
        return self.missing.kind == Kind.ROUTE

    @property
    def is_definition(self) -> bool:
        return self.missing.kind == Kind.DEFINITION


def waiting(*, participants: Iterable[str] | None = None) -> list[Waiting]:
    """Return what workers have missed lately and sagas wait for; nothing while Redis is away."""
    wanted = None if participants is None else set(participants)
    rows = [
        _count(report)
        for report in missing.reports()
        if wanted is None
        or (report.missing.kind != Kind.DEFINITION and report.missing.name in wanted)
    ]
    # What nobody waits for any more is repaired, or was never needed.
    return [row for row in rows if row.sagas]


def _count(report: missing.Report) -> Waiting:
    if report.missing.kind == Kind.DEFINITION:
        return _count_unreadable(report)
    return _count_callers(report)


def _count_unreadable(report: missing.Report) -> Waiting:
    name, version = report.missing.name, report.missing.detail
    sagas = Saga.objects.filter(
        definition__name=name, definition__version=version, due_at__isnull=False
    )
    return Waiting(report.missing, report.since, count_up_to(sagas, COUNT_CAP), [name])


def _count_callers(report: missing.Report) -> Waiting:
    """Count the sagas whose next call is the missing one, by the rule that workers go by."""
    name, action = report.missing.name, report.missing.detail
    users = Definition.objects.filter(spec__steps__contains=[{"participant": name}])
    ids = set(users.values_list("pk", flat=True))
    definitions = catalogue.readable(ids)
    moving = Saga.objects.filter(
        definition_id__in=definitions, due_at__isnull=False, paused=False
    ).values_list("definition_id", "state", "version")[:COUNT_CAP]
    rows = list(moving)
    now = time.time()
    found = [
        definitions[pk].name
        for pk, state, version in rows
        if (name, action) in next_calls(definitions[pk], state, version, now)
    ]
    count = CappedCount(len(found), capped=len(rows) == COUNT_CAP)
    return Waiting(report.missing, report.since, count, sorted(set(found)))


def next_calls(
    definition: core.Definition, state: dict[str, Any], version: int, now: float
) -> list[tuple[str, str]]:
    """Return participant and action of the calls that are to be made now."""
    moves = next_moves(definition, from_json(state, version=version), now)
    return [_call(definition.steps[move.step], move) for move in moves if isinstance(move, Run)]


def _call(step: core.Step, run: Run) -> tuple[str, str]:
    action = step.action if run.direction == Direction.FORWARD else step.compensation or ""
    return step.participant, step.probe if run.probe else action
