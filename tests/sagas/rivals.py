"""Other connections: what other workers and operators do while a test's driver is at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Semaphore, get_ident
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


class Stepper:
    """Work on a connection of its own that goes on from one `pause` to the next."""

    def __init__(self, other: Rival, work: Callable[[], Any]) -> None:
        self._go, self._stopped = Semaphore(0), Semaphore(0)
        self._thread = 0
        self._has_ended = False
        self._done = other.begin(lambda: self._work(work))

    @property
    def is_mine(self) -> bool:
        """Say whether whoever asks is this work itself."""
        return get_ident() == self._thread

    def step(self) -> None:
        """Let it work up to its next pause or its end; after that, do nothing."""
        if self._has_ended:
            return
        self._go.release()
        assert self._stopped.acquire(timeout=20)
        if self._has_ended:
            self._done.result(20)

    def finish(self) -> None:
        while not self._has_ended:
            self.step()

    def pause(self) -> None:
        """Called by the work itself."""
        self._stopped.release()
        assert self._go.acquire(timeout=20)

    def _work(self, work: Callable[[], Any]) -> None:
        assert self._go.acquire(timeout=20)
        self._thread = get_ident()
        try:
            work()
        finally:
            self._has_ended = True
            self._stopped.release()


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
