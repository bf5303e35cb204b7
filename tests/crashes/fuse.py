"""Trouble at one point of a process's work.

A point is just before or just after a statement, a commit, or a call that leaves the process.
Everything here happens in one thread and in the same order every time, so that a number of points
from the start names a moment, today and tomorrow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, NamedTuple

import psycopg
import pytest
import redis
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db import OperationalError as DjangoOperationalError

from outbox.transports.redis_client import client


class Way(StrEnum):
    # The process is gone; what it had sent goes on without it.
    KILL = "kill"
    # Its connection breaks: right after a commit, the acknowledgement is what is lost.
    CUT = "cut"
    # It stands still past its leases, while another worker goes on.
    STALL = "stall"


class Trouble(NamedTuple):
    """What happens at which point. `other`: when the other worker dies; 0: never."""

    point: int
    way: Way
    other: int = 0

    def __str__(self) -> str:
        return f"{self.way}@{self.point}" + (f"/{self.other}" if self.other else "")


Schedule = tuple[Trouble, ...]


class Killed(BaseException):
    """The process is dead."""


# What a process notices of a connection that broke.
CUT_OFF = (DjangoOperationalError, psycopg.OperationalError, redis.ConnectionError)
_burning = threading.local()


class Fuse:
    """Counts the points of the work done while it is lit, and makes the trouble of a schedule."""

    def __init__(
        self, schedule: Iterable[Trouble] = (), on_stall: Callable[[int], None] = lambda other: None
    ) -> None:
        self.points = 0
        # What has struck so far.
        self.struck = 0
        self._troubles = {trouble.point: trouble for trouble in schedule}
        self._on_stall = on_stall
        self.dead = False

    @contextmanager
    def lit(self) -> Iterator[None]:
        """Count this thread's points; afterwards whoever works next is another process."""
        _burning.fuse = self
        try:
            yield
        except Exception:
            # What Django makes of it on the way out is of nobody's interest.
            if self.dead:
                raise Killed from None
            raise
        finally:
            _burning.fuse = None
            self.dead = False

    def burn(self, lose: Callable[[], None]) -> None:
        """Pass one point. `lose` breaks the connection in use and raises what that raises."""
        if self.dead:
            raise Killed
        self.points += 1
        trouble = self._troubles.get(self.points)
        if trouble is None:
            return
        self.struck += 1
        if trouble.way == Way.KILL:
            self.dead = True
            raise Killed
        if trouble.way == Way.CUT:
            lose()
        self._on_stall(trouble.other)


def burning() -> Fuse | None:
    """Return the fuse that this thread has lit."""
    fuse: Fuse | None = getattr(_burning, "fuse", None)
    return fuse


@contextmanager
def out() -> Iterator[None]:
    """Do something that is not the work of whoever has lit the fuse."""
    fuse, _burning.fuse = burning(), None
    try:
        yield
    finally:
        _burning.fuse = fuse


def point(lose: Callable[[], None]) -> None:
    fuse = burning()
    if fuse is not None:
        fuse.burn(lose)


@contextmanager
def points_in_the_servers() -> Iterator[None]:
    """Make every statement, commit and command two points of whoever has lit a fuse.

    Commands for figures and limits are none: their time is no more than a guess.
    """
    with pytest.MonkeyPatch.context() as patch:
        for kind, method, lose in (
            (psycopg.Cursor, "execute", _lose_database),
            (psycopg.Connection, "commit", _lose_database),
            (redis.Redis, "execute_command", _lose_redis),
            (redis.client.Pipeline, "execute", _lose_redis),
        ):
            patch.setattr(kind, method, _with_points(getattr(kind, method), lose))
        yield


def _with_points(work: Callable[..., Any], lose: Callable[[Any], None]) -> Callable[..., Any]:
    def with_points(subject: Any, *args: Any, **options: Any) -> Any:
        if not _counts(subject):
            return work(subject, *args, **options)
        point(lambda: lose(subject))
        result = work(subject, *args, **options)
        point(lambda: lose(subject))
        return result

    return with_points


def _counts(subject: Any) -> bool:
    return not isinstance(subject, redis.Redis) or (
        subject.connection_pool is client().connection_pool
    )


def _lose_database(subject: Any) -> None:
    raw = subject if isinstance(subject, psycopg.Connection) else subject.connection
    raw.close()
    raise psycopg.OperationalError("the connection is lost")


def _lose_redis(subject: Any) -> None:
    raise redis.ConnectionError("the connection is lost")


def hang_up() -> None:
    """Leave the connection as a client does that is gone, whatever Django thinks of it."""
    if connection.connection is not None:
        connection.connection.close()
    del connections[DEFAULT_DB_ALIAS]
