"""Fixtures of the tests that publish: clean Redis keys, lanes, and processes without a memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from outbox import breaker, quick_redis, waking
from outbox.transports import TRANSPORTS, redis_client, redis_stream
from tests.outbox.builders import ScriptedTransport, make_lanes


@pytest.fixture
def redis_server() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL)


def forget_processes_memory() -> None:
    """Be a process that has just started: no resting routes, no connections."""
    breaker._breakers.clear()
    waking._redis.resting_until = waking._redis.log_after = 0
    for cached in (quick_redis.client, waking._script, redis_client.client, redis_stream._script):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def _clean_outbox(redis_server: redis.Redis) -> Iterator[None]:
    forget_processes_memory()
    if keys := [*redis_server.keys("sagadesk*")]:
        redis_server.delete(*keys)
    yield
    forget_processes_memory()


@pytest.fixture
def lanes(db: None) -> None:
    make_lanes()


@pytest.fixture
def transport(lanes: None, monkeypatch: pytest.MonkeyPatch) -> ScriptedTransport:
    """The target of every Redis stream, played by the test."""
    scripted = ScriptedTransport()
    monkeypatch.setitem(TRANSPORTS, "redis_stream", scripted)
    return scripted
