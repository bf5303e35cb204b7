"""Redis for those whom it must never hold up: short timeouts, and a rest after a failure.

What is kept this way is only helpful: signs of life, wake-ups, counts. Its keys share a prefix.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

# Connecting (a host name may have two addresses) and one answer fit into 100 ms together.
CONNECT_TIMEOUT_S = 0.02
TIMEOUT_S = 0.06
# After a failure nobody tries again for this long, so that a dead Redis does not cost every caller.
REST_S = 1.0
LOG_EVERY_S = 60.0


class RestingRedis:
    """Redis with a short memory of being down, and one log line for many failures."""

    def __init__(self, complaint: str) -> None:
        # What is not done meanwhile; with a %d for how often.
        self._complaint = complaint
        self.resting_until = 0.0
        self.log_after = 0.0
        self.lost = 0
        _resting.append(self)

    def run(self, command: Callable[[], Any]) -> Any:
        """Return the command's answer, or None when Redis is down or was a moment ago."""
        if time.monotonic() < self.resting_until:
            self.lost += 1
            return None
        try:
            return command()
        except (redis.RedisError, OSError) as error:
            self._rest(error)
            return None

    def _rest(self, error: Exception) -> None:
        self.lost += 1
        now = time.monotonic()
        self.resting_until = now + REST_S
        if now >= self.log_after:
            logger.warning(f"{self._complaint}: %s", self.lost, error)
            self.log_after = now + LOG_EVERY_S
            self.lost = 0


def key(name: str) -> str:
    """Return the name under which Redis keeps something of this installation's."""
    return f"{settings.REDIS_PREFIX}{name}"


def client() -> redis.Redis:
    """Return this process's connections."""
    return _client(settings.REDIS_URL)


def run_script(source: str, *, keys: Sequence[str], args: Sequence[Any]) -> Any:
    """Run a Lua script, which the server is sent once."""
    return _script(settings.REDIS_URL, source)(keys=keys, args=args)


def forget_failures() -> None:
    """Be as a process that has just started; for tests."""
    for resting in _resting:
        resting.resting_until = resting.log_after = 0.0
        resting.lost = 0


_resting: list[RestingRedis] = []


@cache
def _client(url: str) -> redis.Redis:
    # RESP2 and no library name: the fewest questions when connecting, each of which can time out.
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )


@cache
def _script(url: str, source: str) -> Callable[..., Any]:
    return _client(url).register_script(source)
