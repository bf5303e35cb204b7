"""Whose time counts: the database's, to the microsecond it can keep."""

from __future__ import annotations

import time

import pytest

from sagas.engine.clock import DatabaseClock
from sagas.engine.driver import Driver
from tests.builders import QUICK, Script, let_pass, make_saga, make_step, store


def test_the_clock_goes_on_from_what_the_database_said() -> None:
    clock = DatabaseClock()

    clock.anchor(5_000.0)

    assert 5_000.0 <= clock.now() < 5_001.0


def test_the_clock_tells_no_time_before_it_was_set() -> None:
    with pytest.raises(RuntimeError):
        DatabaseClock().now()


def test_the_clock_tells_what_a_journal_can_keep() -> None:
    clock = DatabaseClock()
    clock.anchor(1_790_000_000.123_456_7)

    assert all(now == round(now, 6) for now in (clock.now() for _ in range(100)))


@pytest.fixture(params=[-1, 1])
def wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock of this worker is an hour slow, or fast."""
    right, right_ns, hours = time.time, time.time_ns, request.param
    monkeypatch.setattr(time, "time", lambda: right() + hours * 3_600)
    monkeypatch.setattr(time, "time_ns", lambda: right_ns() + hours * 3_600 * 10**9)


@pytest.mark.django_db
def test_a_wrong_clock_makes_no_retry_come_sooner_or_later(
    driver: Driver, wrong_clock: None
) -> None:
    """Edge case 14."""
    definition = store(make_step("A", retry=QUICK._replace(initial_s=60, cap_s=60)))
    script = Script(doA=[ValueError()]).register(definition)
    saga = make_saga(definition)

    driver.drive()
    driver.drive()
    assert script.actions == ["doA"]
    let_pass(saga, 61)
    driver.drive()

    assert script.actions == ["doA", "doA"]
    saga.refresh_from_db()
    assert saga.status == "completed"


@pytest.mark.django_db
def test_a_wrong_clock_makes_no_saga_run_out_of_its_time(driver: Driver, wrong_clock: None) -> None:
    """Edge case 14."""
    retry = QUICK._replace(initial_s=30, cap_s=30, attempts=9)
    definition = store(make_step("A"), make_step("B", retry=retry), timeout_s=60)
    Script(doB=[ValueError()] * 9).register(definition)
    saga = make_saga(definition)

    statuses = []
    for seconds in (0, 31, 30):
        let_pass(saga, seconds)
        driver.drive()
        saga.refresh_from_db()
        statuses.append(saga.status)

    assert statuses == ["running", "running", "compensated"]


@pytest.mark.django_db
def test_a_wrong_clock_makes_no_lease_end_sooner_or_later(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, wrong_clock: None
) -> None:
    """Edge case 14."""
    definition = store(make_step("A"))
    script = Script().register(definition)
    saga = make_saga(definition)
    with monkeypatch.context() as patch:
        # So the holder leases it and performs nothing yet.
        patch.setattr("sagas.engine.rounds.PERFORM_S", -1.0)
        Driver(lease_s=60)._round(1, give_back=False)

    driver.drive()
    assert script.calls == []
    let_pass(saga, 59)
    driver.drive()
    assert script.calls == []
    let_pass(saga, 2)
    driver.drive()

    assert script.actions == ["doA"]
