"""What every test can use: a clean registry of callables and a driver of its own."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from outbox import quick_redis
from sagas import catalogue, missing
from sagas.engine.driver import Driver
from sagas.participants import local
from tests.crashes.schedules import SEED


@pytest.fixture(autouse=True)
def _forget_between_tests() -> Iterator[None]:
    """Ids of definitions begin anew with every test, so what was cached by id must go."""
    actions = dict(local._actions)
    catalogue.forget_compiled()
    missing.forget()
    quick_redis.forget_failures()
    yield
    catalogue.forget_compiled()
    local._actions.clear()
    local._actions.update(actions)


@pytest.fixture(scope="session")
def _place_in_redis() -> Iterator[str]:
    """A prefix for the keys of these tests, of which none is left behind."""
    prefix = f"sagadesk:test:{uuid4().hex}:"
    server = redis.Redis.from_url(settings.REDIS_URL)
    yield prefix
    for key in server.scan_iter(f"{prefix}*", count=1_000):
        server.delete(key)


@pytest.fixture(autouse=True)
def _redis_knows_nothing(_place_in_redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test leaves in Redis (an open breaker, a report) is nothing to the next."""
    monkeypatch.setattr(settings, "REDIS_PREFIX", f"{_place_in_redis}{uuid4().hex}:")


@pytest.fixture(autouse=True)
def _speak_english_again() -> Iterator[None]:
    """A request leaves its language behind in the thread; only the next request changes it."""
    yield
    translation.deactivate()


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver(batch_size=50, concurrency=4)
    yield driver
    driver.close()


@pytest.fixture
def reader(db: None) -> Client:
    """A browser that asks for Korean, of somebody who may do everything."""
    client = Client(headers={"accept-language": "ko"})
    client.force_login(User.objects.create_superuser("root"))
    return client


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many crash schedules were played, in one process or several."""
    reports = [r for key in ("passed", "failed") for r in terminalreporter.getreports(key)]
    played = sum(n for r in reports for name, n in r.user_properties if name == "schedules")
    if played:
        terminalreporter.write_line(f"{played:,} crash schedules played, SEED={SEED}")
