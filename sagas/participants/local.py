"""Python callables as participants: registered by name, run in the batch's transaction.

    @action("FlightService", "reserveFlight")
    def reserve_flight(call: Call) -> dict: ...

What a callable writes to this database commits together with the step's result, exactly once.
Everything else it does may be repeated after a crash, under the same idempotency key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.transaction import TransactionManagementError
from psycopg.pq import TransactionStatus

from sagas.definitions import declared_sagas
from sagas.participants import batches
from sagas.participants.batches import BatchAction
from sagas.participants.calls import Call

Action = Callable[[Call], Any]
_actions: dict[tuple[str, str], Action] = {}


def register(participant: str, name: str, callable_: Action) -> None:
    """Make a callable known as an action of a participant; the last registration counts."""
    _actions[participant, name] = callable_


def action(participant: str, name: str) -> Callable[[Action], Action]:
    """Register the decorated callable as an action of a participant."""

    def decorate(callable_: Action) -> Action:
        register(participant, name, callable_)
        return callable_

    return decorate


def batch_action(
    participant: str, name: str, *, size: int = 200
) -> Callable[[batches.Function], BatchAction]:
    """Register the decorated callable for up to `size` commands of as many sagas at once.

    It gets a list of calls and returns as many outputs or exceptions, in the same order. When it
    raises, what it wrote is undone, and every command is tried alone, as a list of one.
    """

    def decorate(function: batches.Function) -> BatchAction:
        together = BatchAction(function, size=size)
        register(participant, name, together)
        return together

    return decorate


def register_declared() -> None:
    """Register the callables of every saga class that has been declared so far."""
    for saga in declared_sagas().values():
        for (participant, name), callable_ in saga.local_actions().items():
            register(participant, name, callable_)


def find(participant: str, name: str) -> Action | None:
    return _actions.get((participant, name))


def participants() -> set[str]:
    """Return the names of all participants that have a callable."""
    return {participant for participant, _ in _actions}


class Savepoints:
    """Savepoints around callables, each taken only when a callable first uses the database.

    A callable that leaves the database alone costs no round trip. `watching()` is the context
    of a whole batch; around each callable come `begin()` and then `keep()` or `undo()`.
    """

    def __init__(self) -> None:
        # The present callable has used the database.
        self.touched = False
        self._active = False
        self._hooks = 0
        # Looking it up behind Django's proxy is measurably slow in a loop.
        self._connection = connections[DEFAULT_DB_ALIAS]

    @contextmanager
    def watching(self) -> Iterator[Savepoints]:
        """Hear of every use of the connection.

        Django's execute wrappers would hear of Django's own cursors only, not of `start()`,
        `publish()` and COPY, which use psycopg's; whoever gets a cursor asks for the connection.
        """
        ensure = self._connection.ensure_connection

        def ensure_connection() -> None:
            ensure()
            self._take_before_first_use()

        self._connection.ensure_connection = ensure_connection  # type: ignore[method-assign]
        try:
            yield self
        finally:
            del self._connection.ensure_connection

    def begin(self) -> None:
        """Watch for the first use by the callable that comes now."""
        self.touched, self._active = False, True
        self._hooks = len(self._connection.run_on_commit)

    def keep(self) -> None:
        """Keep what the callable wrote.

        Raises TransactionManagementError when the callable went on after a database error: then
        PostgreSQL has thrown away what it did before.
        """
        raw = self._connection.connection
        broken = self.touched and raw.info.transaction_status == TransactionStatus.INERROR
        if broken or self._connection.needs_rollback:
            raise TransactionManagementError(
                "The callable went on after a database error. Catch such an error around an "
                "atomic block of its own."
            )
        self._active = False
        if self.touched:
            raw.execute("RELEASE SAVEPOINT saga_step")

    def undo(self) -> None:
        """Undo what the callable wrote, and forget what it wanted to do on commit."""
        self._active = False
        del self._connection.run_on_commit[self._hooks :]
        self._connection.needs_rollback = False
        if self.touched:
            raw = self._connection.connection
            raw.execute("ROLLBACK TO SAVEPOINT saga_step")
            raw.execute("RELEASE SAVEPOINT saga_step")

    def _take_before_first_use(self) -> None:
        if self._active and not self.touched:
            self.touched = True
            self._connection.connection.execute("SAVEPOINT saga_step")
