"""Other connections: what other workers and operators do while a test's driver is at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection

from sagas.core.verbs import Verb
from sagas.models import Saga
from sagas.verbs import Order, perform

Value = TypeVar("Value")


class Rival:
    """A thread with a database connection of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)

    def begin(self, work: Callable[[], Value]) -> Future[Value]:
        return self._thread.submit(work)

    def do(self, work: Callable[[], Value]) -> Value:
        return self.begin(work).result(20)

    def close(self) -> None:
        self.do(lambda: connection.close())
        self._thread.shutdown()


@contextmanager
def rival() -> Iterator[Rival]:
    other = Rival()
    try:
        yield other
    finally:
        other.close()


def order_from_elsewhere(verb: Verb, saga: Saga, **details: Any) -> None:
    """Give a verb on another connection, as an operator does in a process of the web server."""
    order = Order(None, "because", f"{verb} {saga.pk} {saga.version}")
    with rival() as other:
        other.do(lambda: perform(verb, saga.pk, order, **details))


def end_lease(*sagas: Saga) -> None:
    """Let the leases of sagas end now, as if their worker had been silent for long."""
    ids = [saga.pk for saga in sagas]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE sagas_saga SET due_at = now() - interval '1 s'"
            " WHERE id = ANY(%s) AND due_at IS NOT NULL",
            [ids],
        )


def wait_until_blocked(times: int = 1) -> None:
    """Return when this many connections to this database wait for a lock."""
    with connection.cursor() as cursor:
        give_up_at = time.monotonic() + 20
        while time.monotonic() < give_up_at:
            # Within a transaction the view would go on showing its first look.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= times:
                return
    raise AssertionError("Nobody waits for a lock.")
