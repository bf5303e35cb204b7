"""The Redis connection that transports share, and which of its errors mean "not reachable"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from outbox.exceptions import Unavailable

# Well below the lease of a lane, so that a relay knows what became of a batch while it holds it.
CONNECT_TIMEOUT_S = 1.0
TIMEOUT_S = 5.0

# The server takes nothing from anybody just now; no message is to blame.
_REFUSALS = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "WRONGPASS",
)


def is_refusal(text: str) -> bool:
    """Tell whether an error reply means that the server takes nothing from anybody."""
    return text.startswith(_REFUSALS)


def client() -> redis.Redis:
    """Return this process's connections; they try nothing twice, which is the relay's to decide."""
    return _client(settings.REDIS_URL)


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )


@contextmanager
def reachable() -> Iterator[None]:
    """Turn errors of the connection or of the whole server into Unavailable."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
        raise Unavailable(f"Redis cannot be reached: {error}") from error
    except redis.ResponseError as error:
        if is_refusal(str(error)) or isinstance(error, redis.ReadOnlyError):
            raise Unavailable(f"Redis takes nothing: {error}") from error
        raise
