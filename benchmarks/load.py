"""Sagas by the thousand: started, waited for, and cleared away."""

from __future__ import annotations

import time

import redis
from django.conf import settings
from django.db import OperationalError, connection

from benchmarks.participants_noop import FAILING, SUCCEEDING
from sagas import catalogue
from sagas.starting import Start, start_many

LIMIT_S = 300.0
LOOK_S = 0.01
TABLES = (
    "sagas_saga, sagas_sagastart, sagas_journalentry, sagas_verbrequest, "
    "outbox_message, outbox_delivery, outbox_receipt"
)


class TooSlow(Exception):
    """A round did not come to its end within its limit."""


def store_definitions() -> None:
    for definition in (SUCCEEDING, FAILING):
        catalogue.store_definition(definition)


def start_batches(definition: str, count: int, *, batch: int = 1_000) -> None:
    """Start so many sagas, each batch in a transaction of its own."""
    for first in range(0, count, batch):
        numbers = range(first, min(first + batch, count))
        start_many(definition, [Start(f"BENCH-{number}", {"number": number}) for number in numbers])


def unended() -> int:
    """Return how many sagas are still on their way; reads a small partial index."""
    return _number(
        "SELECT count(*) FROM sagas_saga WHERE status IN ('running', 'compensating', 'failed')"
    )


def undelivered() -> int:
    return _number("SELECT count(*) FROM outbox_delivery")


def _is_moving() -> bool:
    """Ask for the last one first: a look at what is due would wade through what was due."""
    last = "SELECT count(due_at) FROM (SELECT due_at FROM sagas_saga ORDER BY id DESC LIMIT 1) AS s"
    due = "SELECT count(*) FROM (SELECT FROM sagas_saga WHERE due_at IS NOT NULL LIMIT 1) AS s"
    return _number(last) > 0 or _number(due) > 0


def wait_for_ends(*, limit_s: float = LIMIT_S) -> float:
    """Return the monotonic time at which the last saga was seen to have ended."""
    deadline = time.monotonic() + limit_s
    while _is_moving():
        if time.monotonic() > deadline:
            raise TooSlow(f"{unended():,} sagas have not ended after {limit_s:g} s.")
        time.sleep(LOOK_S)
    return time.monotonic()


def wait_for_deliveries(*, limit_s: float = LIMIT_S) -> float:
    """Return the monotonic time at which the relay was seen to have published everything."""
    deadline = time.monotonic() + limit_s
    while undelivered():
        if time.monotonic() > deadline:
            raise TooSlow(f"{undelivered():,} deliveries are left after {limit_s:g} s.")
        time.sleep(LOOK_S)
    return time.monotonic()


def check_ended(status: str, count: int) -> None:
    """Make sure that what was measured has happened: so many sagas have this status."""
    ended = _number(f"SELECT count(*) FROM sagas_saga WHERE status = '{status}'")
    if ended != count:
        raise TooSlow(f"{ended:,} of {count:,} sagas are {status}.")


def clear() -> None:
    """Empty the tables and the stream, and write a checkpoint: every round begins alike."""
    wait_for_ends()
    wait_for_deliveries()
    _truncate()
    redis.Redis.from_url(settings.REDIS_URL).delete("sagadesk:saga-events")
    settle()


def _truncate() -> None:
    """Empty the tables. Sweeps of the worker may lock them in another order: then once more."""
    for last_try in (False, False, True):
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"TRUNCATE {TABLES}")
            return
        except OperationalError:
            if last_try:
                raise


def settle() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def _number(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])
