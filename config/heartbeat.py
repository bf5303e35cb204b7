"""Signs of life of beat and of the workers, kept in Redis.

Beat leaves one when it sends the task `config.heartbeat`, a worker when it runs it. Redis may
be away at any moment: writing then gives up quietly, and reading says so.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import NamedTuple

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from outbox.quick_redis import key

TIMEOUT_S = 0.1
# Beat sends every 10 s; three in a row must be missing before anybody is alarmed.
SILENT_AFTER_S = 35.0


class Part(StrEnum):
    BEAT = "beat"
    WORKER = "worker"


class Pulse(NamedTuple):
    """Seconds since each part last reported; None: never, as far as Redis knows."""

    redis_is_up: bool
    beat_s: float | None = None
    worker_s: float | None = None


def report(part: Part) -> None:
    """Leave a sign of life; never raises for a Redis that is away, never waits over 100 ms."""
    try:
        _connect().set(key_of(part), repr(time.time()), ex=86_400)
    except (redis.RedisError, OSError):
        return


def read_pulse() -> Pulse:
    """Return when beat and the workers last reported; never waits over 100 ms for an answer."""
    try:
        values = _connect().mget([key_of(Part.BEAT), key_of(Part.WORKER)])
    except (redis.RedisError, OSError):
        return Pulse(redis_is_up=False)
    now = time.time()
    beat_s, worker_s = (None if value is None else max(0.0, now - float(value)) for value in values)
    return Pulse(redis_is_up=True, beat_s=beat_s, worker_s=worker_s)


def key_of(part: Part) -> str:
    """Return where Redis keeps when a part last reported."""
    return key(f"heartbeat:{part}")


def _connect() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
