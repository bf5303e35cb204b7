"""The SQL of locks: many sagas in one statement each, on the driver's connection.

A lock is a row with a unique name, so PostgreSQL decides who has it. Nobody waits here for the
transaction of another driver, which may take as long as its callables: a taken lock is only read,
one that somebody is taking at this moment is left alone, and so is a waiter that somebody looks at.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sagas.core.deadlocks import Edge
from sagas.engine.statements import raw_cursor

HOLDERS = "SELECT name, saga_id FROM sagas_sagalock WHERE name = ANY(%b::text[])"

# Whoever inserts a name that another transaction has inserted would wait for its end.
TAKE = """
INSERT INTO sagas_sagalock (name, saga_id, step, taken_at)
SELECT name, saga_id, step, clock_timestamp()
FROM unnest(%b::text[], %b::uuid[], %b::text[]) AS wanted(name, saga_id, step)
WHERE pg_try_advisory_xact_lock(hashtextextended('lock ' || name, 0))
ON CONFLICT DO NOTHING RETURNING name
"""

WAIT = """
INSERT INTO sagas_lockwait (saga_id, name, step, since)
SELECT saga_id, name, step, clock_timestamp()
FROM unnest(%b::uuid[], %b::text[], %b::text[]) AS waiting(saga_id, name, step)
ON CONFLICT DO NOTHING
"""

STOP_WAITING = """
DELETE FROM sagas_lockwait
WHERE (saga_id, name) IN (SELECT * FROM unnest(%b::uuid[], %b::text[]))
"""

# Who waits for whom, as far as these sagas can come by it: for the holder of a lock, or for a saga
# that a step of one's own has started (that has no lock). The limit bounds the work.
EDGES = """
WITH RECURSIVE edge(waiter, lock, holder) AS (
    SELECT wait.saga_id, wait.name::text, held.saga_id
    FROM sagas_lockwait AS wait JOIN sagas_sagalock AS held ON held.name = wait.name
    WHERE wait.saga_id = ANY(%b::uuid[])
    UNION
    SELECT following.* FROM edge CROSS JOIN LATERAL (
        SELECT wait.saga_id, wait.name::text, held.saga_id
        FROM sagas_lockwait AS wait JOIN sagas_sagalock AS held ON held.name = wait.name
        WHERE wait.saga_id = edge.holder
        UNION ALL
        SELECT s.id, '', (step->>'child')::uuid
        FROM sagas_saga AS s CROSS JOIN LATERAL jsonb_array_elements(s.state->'steps') AS step
        WHERE s.id = edge.holder AND step->>'status' = 'waiting' AND step->>'waits_for' = 'saga'
    ) AS following
)
SELECT waiter, lock, holder FROM edge WHERE waiter <> holder LIMIT 10000
"""

# The locks of these sagas, and who has waited longest for each. A waiter whose row somebody has
# locked is leaving the queue; one that is paused or has stopped keeps its place for later.
HEIRS = """
SELECT held.name, heir.saga_id, coalesce(heir.step, '') FROM sagas_sagalock AS held
LEFT JOIN LATERAL (
    SELECT wait.saga_id, wait.step
    FROM sagas_lockwait AS wait JOIN sagas_saga AS s ON s.id = wait.saga_id
    WHERE wait.name = held.name AND s.status = 'running' AND NOT s.paused
        AND s.id <> ALL(%b::uuid[])
    ORDER BY wait.since, wait.saga_id LIMIT 1 FOR UPDATE OF wait SKIP LOCKED
) AS heir ON true
WHERE held.saga_id = ANY(%b::uuid[]) AND (%b::text IS NULL OR held.name = %b::text)
ORDER BY held.name
"""

# A saga with a call in the air is somebody's until it lands; it looks again by itself.
MAKE_DUE = """
UPDATE sagas_saga SET due_at = CASE
    WHEN state @? '$.steps[*] ? (@.sent == true)' THEN due_at ELSE clock_timestamp() END
WHERE id IN (
        SELECT id FROM sagas_saga WHERE id = ANY(%b::uuid[]) FOR NO KEY UPDATE SKIP LOCKED)
    AND status = 'running' AND NOT paused
RETURNING id
"""

INHERIT = """
WITH given AS (
    SELECT * FROM unnest(%b::text[], %b::uuid[], %b::text[]) AS given(name, saga_id, step)
), gone AS (
    DELETE FROM sagas_lockwait AS wait USING given
    WHERE wait.saga_id = given.saga_id AND wait.name = given.name
)
UPDATE sagas_sagalock AS held
SET saga_id = given.saga_id, step = given.step, taken_at = clock_timestamp()
FROM given WHERE held.name = given.name
"""

# Who would get these locks if somebody gave them back now, where nobody holds them.
LEFT_WAITING = """
SELECT heir.saga_id FROM unnest(%b::text[]) AS free(name) CROSS JOIN LATERAL (
    SELECT wait.saga_id FROM sagas_lockwait AS wait JOIN sagas_saga AS s ON s.id = wait.saga_id
    WHERE wait.name = free.name AND s.status = 'running' AND NOT s.paused
    ORDER BY wait.since, wait.saga_id LIMIT 1
) AS heir
WHERE NOT EXISTS (SELECT FROM sagas_sagalock AS held WHERE held.name = free.name)
"""

SET_FREE = "DELETE FROM sagas_sagalock WHERE name = ANY(%b::text[])"


class Place(NamedTuple):
    """A saga that takes a lock or waits for it, before a step."""

    name: str
    saga_id: uuid.UUID
    step: str


class Heir(NamedTuple):
    """A lock that is given back, and who gets it next, if anybody."""

    name: str
    saga_id: uuid.UUID | None
    step: str


def holders(names: Collection[str]) -> dict[str, uuid.UUID]:
    """Return who has these locks; free ones are left out."""
    return {row[0]: row[1] for row in _rows(HOLDERS, list(names))}


def take(places: Sequence[Place]) -> set[str]:
    """Take free locks and return those that were; somebody faster has or takes the others."""
    return {name for (name,) in _rows(TAKE, *_columns(places))}


def wait(places: Sequence[Place]) -> None:
    """Queue up; who waits already keeps the place."""
    names, sagas, steps = _columns(places)
    _run(WAIT, sagas, names, steps)


def stop_waiting(pairs: Sequence[tuple[uuid.UUID, str]]) -> None:
    _run(STOP_WAITING, *_columns(pairs))


def edges(waiters: Iterable[uuid.UUID]) -> list[Edge]:
    return [Edge(*row) for row in _rows(EDGES, list(waiters))]


def heirs(
    saga_ids: Iterable[uuid.UUID], name: str | None, *, but: Iterable[uuid.UUID]
) -> list[Heir]:
    """Return what becomes of the locks of these sagas, or of the one with this name."""
    return [Heir(*row) for row in _rows(HEIRS, list(but), list(saga_ids), name, name)]


def make_due(saga_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Have sagas looked at now; return those that go forward, and cannot stop before us.

    One that somebody is looking at is left out.
    """
    return {saga_id for (saga_id,) in _rows(MAKE_DUE, list(saga_ids))}


def inherit(places: Sequence[Place]) -> None:
    """Give each lock to the saga that has waited for it."""
    _run(INHERIT, *_columns(places))


def left_waiting(names: Collection[str]) -> set[uuid.UUID]:
    """Return who has waited longest for each of these locks that nobody holds."""
    return {saga_id for (saga_id,) in _rows(LEFT_WAITING, list(names))}


def set_free(names: Sequence[str]) -> None:
    _run(SET_FREE, list(names))


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _rows(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with raw_cursor() as cursor:
        return cursor.execute(statement, parameters, binary=True).fetchall()


def _run(statement: str, *parameters: Any) -> None:
    with raw_cursor() as cursor:
        cursor.execute(statement, parameters)
