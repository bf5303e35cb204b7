"""Fixtures of the tests that publish: clean Redis keys, lanes, and processes without a memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from outbox import breaker, quick_redis
from outbox.transports import TRANSPORTS
from tests.outbox.builders import ScriptedTransport, make_lanes


@pytest.fixture
def redis_server() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL)


def forget_processes_memory() -> None:
    """Be a process that has just started: no resting routes, no connections."""
    breaker._breakers.clear()
    quick_redis.forget_failures()


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
