"""Who has to decide what: a row for each step that waits for a decision, beside the sagas' own.

Only changes in which a step begins to wait for one, and those from outside, come here.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from sagas.core.state import StepStatus, WaitsFor
from sagas.core.verbs import steps_to_approve
from sagas.engine.held import Change
from sagas.engine.statements import raw_cursor, to_datetime

AWAIT = """
INSERT INTO sagas_awaiteddecision (saga_id, place, step, approvers, until, since)
VALUES (%s, %s, %s, %s, %s, clock_timestamp())
ON CONFLICT (saga_id, place) DO UPDATE SET since = excluded.since, until = excluded.until
"""
SETTLE = "DELETE FROM sagas_awaiteddecision WHERE saga_id = %s AND NOT place = ANY(%s)"


def expect(changes: Iterable[Change]) -> None:
    """Write down what waits for a decision from now on."""
    rows = [row for change in changes for row in _begun(change)]
    if rows:
        with raw_cursor() as cursor:
            cursor.executemany(AWAIT, rows)


def _begun(change: Change) -> Iterable[tuple[Any, ...]]:
    before = change.held.state.steps
    for place in steps_to_approve(change.state):
        own = change.state.steps[place]
        if before[place].status == StepStatus.WAITING and own.attempt == before[place].attempt:
            continue
        step = change.held.definition.steps[place]
        until = None if own.wake_at is None else to_datetime(own.wake_at)
        yield (change.held.id, place, step.name, step.approvers, until)


def settle(change: Change) -> None:
    """Remove what somebody has decided by this change, or what it has made needless."""
    if any(step.waits_for == WaitsFor.APPROVAL for step in change.held.state.steps):
        still: tuple[uuid.UUID, list[int]] = (change.held.id, list(steps_to_approve(change.state)))
        with raw_cursor() as cursor:
            cursor.execute(SETTLE, still)
