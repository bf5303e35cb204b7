"""The statements of the relay, side by side; see outbox.statements for why they are raw.

`claim_and_read` is one round trip, and so is `finish`. Whatever else has to be written about a
batch (failures, dead letters, blocked keys) the functions after them write, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import psycopg

from outbox.statements import RawConnection


class ActiveRoute(NamedTuple):
    """A route that is not paused."""

    id: int
    name: str
    transport: str
    target: str
    on_dead: str
    max_attempts: int | None
    has_outage: bool


class Pending(NamedTuple):
    """A delivery as the relay reads it; what belongs to the message is JSON and ISO 8601 text.

    When the message itself is gone, everything from `type` on is None.
    """

    id: int
    lane: int
    route_id: int
    key: str
    attempts: int
    letter_id: UUID | None
    is_blocked: bool
    message_id: str
    type: str
    payload: str
    headers: str
    saga_id: UUID | None
    time: str


class Work(NamedTuple):
    """What one claim gave: the lanes with their epochs, and their deliveries in order."""

    leases: dict[int, int]
    routes: dict[int, ActiveRoute]
    pending: list[Pending]


class Claim(NamedTuple):
    """Who claims, how much, and the routes to leave alone."""

    owner: str
    lease_s: float
    lanes: int
    batch: int
    resting: list[int]
    promote: bool


# The commit of the transaction at hand does not wait for the disk.
_NO_WAIT = "SELECT set_config('synchronous_commit', 'off', true)"

_ROUTES = """
SELECT id, name, transport, target, on_dead, max_attempts, outage_since IS NOT NULL
FROM outbox_route WHERE paused_at IS NULL AND id <> ALL(%b::bigint[])
"""

_PROMOTE = """
UPDATE outbox_delivery SET status = 'ready', not_before = NULL
WHERE id IN (
    SELECT id FROM outbox_delivery
    WHERE status = 'waiting' AND not_before <= statement_timestamp()
    ORDER BY not_before LIMIT 1000 FOR UPDATE SKIP LOCKED
)
"""

# A scalar subquery with a LIMIT stays an index probe, however many deliveries there are; an EXISTS
# may be turned into a hash of the whole table.
_CLAIM = """
UPDATE outbox_lane lane
SET owner = %b, epoch = lane.epoch + 1, served_at = statement_timestamp(),
    lease_until = statement_timestamp() + %b * interval '1 second'
FROM (
    SELECT id FROM outbox_lane
    WHERE (lease_until IS NULL OR lease_until < statement_timestamp())
      AND (SELECT true
           FROM outbox_route route CROSS JOIN LATERAL (
               SELECT FROM outbox_delivery delivery
               WHERE delivery.lane = outbox_lane.id AND delivery.route_id = route.id
                 AND delivery.status = 'ready' LIMIT 1
           ) work
           WHERE route.paused_at IS NULL AND route.id <> ALL(%b::bigint[]) LIMIT 1)
    ORDER BY served_at NULLS FIRST, id
    LIMIT %b
    FOR UPDATE SKIP LOCKED
) free
WHERE lane.id = free.id
RETURNING lane.id, lane.epoch
"""

# Every lane gives the same share of the batch, so that a long one does not hold up the others.
# What blocks a key is an earlier delivery of it that waits, is parked, or is a dead letter.
_READ = """
SELECT d.id, d.lane, d.route_id, d.key, d.attempts, d.letter_id,
       EXISTS (SELECT FROM outbox_delivery b
               WHERE b.route_id = d.route_id AND b.key = d.key AND b.id < d.id
                 AND b.status IN ('waiting', 'parked', 'blocking')),
       d.message_id::text, m.type, m.payload::text, m.headers::text, m.saga_id,
       to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM (SELECT id, count(*) OVER () AS number FROM outbox_lane
      WHERE owner = %b AND lease_until > statement_timestamp()) held
CROSS JOIN outbox_route route
CROSS JOIN LATERAL (
    SELECT * FROM outbox_delivery delivery
    WHERE delivery.lane = held.id AND delivery.route_id = route.id AND delivery.status = 'ready'
    ORDER BY delivery.id LIMIT greatest(%b / held.number, 1)
) d
LEFT JOIN outbox_message m ON m.id = d.message_id
WHERE route.paused_at IS NULL AND route.id <> ALL(%b::bigint[])
ORDER BY d.route_id, d.lane, d.id
"""


def claim_and_read(connection: RawConnection, claim: Claim) -> Work:
    """Lease free lanes that have work and read it, in one round trip.

    With `claim.promote` what has waited long enough is made ready first.

    The lanes read are those of `claim.owner`, so it must be new for every claim. Nobody waits for
    the disk here: a lease that a crash of the database takes back guards nothing but order.
    """
    routes, lanes, pending, other = (psycopg.Cursor(connection) for _ in range(4))
    with connection.pipeline():
        other.execute(_NO_WAIT)
        routes.execute(_ROUTES, [claim.resting])
        if claim.promote:
            other.execute(_PROMOTE)
        lanes.execute(_CLAIM, [claim.owner, claim.lease_s, claim.resting, claim.lanes])
        pending.execute(_READ, [claim.owner, claim.batch, claim.resting])
    return Work(
        leases=dict(lanes.fetchall()),
        routes={row[0]: ActiveRoute._make(row) for row in routes},
        pending=list(map(Pending._make, pending)),
    )


# Only a lane whose epoch is still ours: a relay that was overtaken finds no row. The lock keeps
# the lane with us until this is committed.
_HELD = """
held AS MATERIALIZED (
    SELECT lane.id FROM outbox_lane lane
    JOIN unnest(%b::int2[], %b::bigint[]) AS lease(id, epoch) USING (id, epoch)
    FOR UPDATE OF lane
)"""
_RELEASED = """
held AS (
    UPDATE outbox_lane lane SET lease_until = NULL, owner = ''
    FROM unnest(%b::int2[], %b::bigint[]) AS lease(id, epoch)
    WHERE lane.id = lease.id AND lane.epoch = lease.epoch
    RETURNING lane.id
)"""
# ARRAY(...) makes it an index scan whatever the statistics say: right after a burst they know
# nothing of the rows, and walking through the dead ones costs a hundred times as much.
_FINISH = """
WITH {held}, gone AS (
    DELETE FROM outbox_delivery
    WHERE id = ANY(ARRAY(
        SELECT done.id FROM unnest(%b::bigint[], %b::int2[]) AS done(id, lane)
        JOIN held ON held.id = done.lane
    ))
    RETURNING id, route_id, message_id, letter_id
), receipt AS (
    INSERT INTO outbox_receipt (route_id, relay, count, message_ids)
    SELECT route_id, %b, count(*), jsonb_agg(message_id ORDER BY id) FROM gone GROUP BY route_id
)
SELECT ARRAY(SELECT id FROM held),
       ARRAY(SELECT letter_id FROM gone WHERE letter_id IS NOT NULL)
"""
_FINISH_AND_KEEP = _FINISH.format(held=_HELD)
_FINISH_AND_RELEASE = _FINISH.format(held=_RELEASED)


def finish(
    connection: RawConnection,
    leases: Mapping[int, int],
    done: Sequence[Pending],
    *,
    owner: str,
    release: bool,
    wait: bool = False,
) -> tuple[set[int], list[UUID]]:
    """Delete what is published in the lanes still ours, with receipts; one guarded statement.

    Returns those lanes, and the dead letters whose deliveries have been published. Unless told to,
    it does not wait for the disk: when the database crashes within the next second or so, the
    deliveries are back and go out again, as they do when a relay dies here.
    """
    statement = _FINISH_AND_RELEASE if release else _FINISH_AND_KEEP
    ids, lanes = [d.id for d in done], [d.lane for d in done]
    with connection.pipeline(), psycopg.Cursor(connection) as cursor:
        if not wait:
            cursor.execute(_NO_WAIT)
        cursor.execute(statement, [list(leases), list(leases.values()), ids, lanes, owner])
        row = cursor.fetchone()
    assert row is not None  # noqa: S101 — a SELECT without FROM has one row
    return set(row[0]), row[1]


_FAIL = """
UPDATE outbox_delivery d
SET attempts = d.attempts + 1, status = f.status,
    errors = d.errors || jsonb_build_array(f.error::jsonb || jsonb_build_object(
        'at', to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))),
    not_before = CASE WHEN f.status = 'waiting'
                 THEN statement_timestamp() + f.delay_s * interval '1 second' END
FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::float8[]) AS f(id, status, error, delay_s)
WHERE d.id = f.id AND d.status = 'ready'
RETURNING d.id, d.errors::text
"""


class Failure(NamedTuple):
    """A failed attempt: the delivery, what becomes of it, the error as JSON, when to try again."""

    id: int
    status: str
    error: str
    delay_s: float


def record_failures(connection: RawConnection, failures: Sequence[Failure]) -> dict[int, str]:
    """Count the attempts and keep their errors; return all errors so far (JSON) by delivery."""
    with psycopg.Cursor(connection) as cursor:
        cursor.execute(_FAIL, [list(column) for column in zip(*failures, strict=True)])
        return dict(cursor.fetchall())


_SET_LETTERS = """
UPDATE outbox_delivery d SET letter_id = l.letter_id
FROM unnest(%b::bigint[], %b::uuid[]) AS l(id, letter_id) WHERE d.id = l.id
"""


def set_letters(connection: RawConnection, letters: Mapping[int, UUID]) -> None:
    """Tie dead deliveries to their dead letters."""
    with psycopg.Cursor(connection) as cursor:
        cursor.execute(_SET_LETTERS, [list(letters), list(letters.values())])


# The heads are locked first: whoever settles one at this moment either waits and then sees what is
# parked here, or is done already and nothing is parked behind it.
_PARK = """
WITH heads AS MATERIALIZED (
    SELECT id, route_id, key FROM outbox_delivery
    WHERE (route_id, key) IN (SELECT * FROM unnest(%b::bigint[], %b::text[]))
      AND status IN ('waiting', 'blocking')
    ORDER BY id FOR SHARE
)
UPDATE outbox_delivery d SET status = 'parked'
FROM heads
WHERE d.id = ANY(%b::bigint[]) AND d.status = 'ready'
  AND d.route_id = heads.route_id AND d.key = heads.key
"""


def park(connection: RawConnection, blocked: Sequence[Pending]) -> int:
    """Take deliveries behind a waiting or blocking one of their key out of what relays read."""
    if not blocked:
        return 0
    routes = [delivery.route_id for delivery in blocked]
    keys = [delivery.key for delivery in blocked]
    with psycopg.Cursor(connection) as cursor:
        cursor.execute(_PARK, [routes, keys, [delivery.id for delivery in blocked]])
        return cursor.rowcount


_RELEASE_KEYS = """
UPDATE outbox_delivery d SET status = 'ready'
FROM unnest(%b::bigint[], %b::text[]) AS freed(route_id, key)
WHERE d.status = 'parked' AND d.route_id = freed.route_id AND d.key = freed.key
"""


def release_keys(connection: RawConnection, keys: Iterable[tuple[int, str]]) -> int:
    """Make what is parked behind these (route, key) ready again."""
    pairs = list(keys)
    if not pairs:
        return 0
    with psycopg.Cursor(connection) as cursor:
        cursor.execute(_RELEASE_KEYS, [[route for route, _ in pairs], [key for _, key in pairs]])
        return cursor.rowcount
