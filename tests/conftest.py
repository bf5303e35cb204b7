"""What every test can use: a clean registry of callables and a driver of its own."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.utils import translation

from sagas import catalogue, missing
from sagas.engine.driver import Driver
from sagas.participants import figures, local, shared_limits


@pytest.fixture(autouse=True)
def _forget_between_tests() -> Iterator[None]:
    """Ids of definitions begin anew with every test, so what was cached by id must go."""
    actions = dict(local._actions)
    catalogue.forget_compiled()
    missing.forget()
    yield
    catalogue.forget_compiled()
    local._actions.clear()
    local._actions.update(actions)


@pytest.fixture(autouse=True)
def _know_nothing_of_participants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Breakers that one test has opened are closed for the next: Redis has a place for each."""
    place = f"sagadesk:test:{uuid4().hex}:"
    for module, name in (
        (shared_limits, "PREFIX"),
        (figures, "LIMITS_PREFIX"),
        (figures, "PREFIX"),
    ):
        kind = "calls:" if (module, name) == (figures, "PREFIX") else "participant:"
        monkeypatch.setattr(module, name, place + kind)
    for module in (shared_limits, figures):
        monkeypatch.setattr(module, "LIFE_S", 120)


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
