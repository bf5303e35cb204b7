"""Drivers and participants with limits, breakers, and calls that take their time."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from sagas.core.definition import Definition
from sagas.engine.driver import Driver
from sagas.engine.statements import Lined, recall
from sagas.models import JournalEntry, Participant, Saga
from sagas.participants.figures import read_conditions
from sagas.participants.limiting import close_breaker
from sagas.participants.limits import Limits, Policy, Report
from tests.builders import (
    QUICK,
    Script,
    journal_of,
    let_pass,
    make_participant,
    make_saga,
    make_step,
    no,
    store,
)
from tests.sagas.http_service import Got, HttpService, Reply

pytestmark = pytest.mark.django_db

BUSY = Reply(503, {})


def make_http(service: HttpService, name: str = "Service", **overrides: object) -> Participant:
    return make_participant(name, transport="http", address=service.address, **overrides)


def make_sagas(definition: Definition, count: int) -> list[Saga]:
    return [make_saga(definition, key=f"{definition.name}-{n}") for n in range(count)]


def statuses(definition: Definition) -> list[str]:
    rows = Saga.objects.filter(definition__name=definition.name)
    return list(rows.values_list("status", flat=True).distinct())


def make_due() -> None:
    """Make every attempt and every look due."""
    for saga in Saga.objects.filter(due_at__isnull=False):
        let_pass(saga, 60)


def is_later(saga: Saga, seconds: float) -> bool:
    """Say whether a saga is looked at again, and within so many seconds."""
    now = Saga.objects.values_list(Now(), flat=True).first()
    saga.refresh_from_db()
    assert saga.due_at is not None
    return 0 < (saga.due_at - now).total_seconds() < seconds


def test_a_slow_participant_holds_up_nobody_else(driver: Driver, service: HttpService) -> None:
    """It is asked first, by more sagas than there are slots; it answers after the others."""
    make_http(service, "Slow")
    make_http(service, "Fast")
    slow = store(make_step("A", participant="Slow", action="crawl"), name="slow")
    fast = store(make_step("A", participant="Fast", action="run"), name="fast")
    ran, all_ran = threading.Semaphore(0), threading.Event()

    def run(got: Got) -> Reply:
        ran.release()
        if sum(action == "run" for action in service.actions) == 30:
            all_ran.set()
        return Reply(body={})

    def crawl(got: Got) -> Reply:
        return Reply(body={}) if all_ran.wait(30) else Reply(409, {})

    service.plays("run", *[run] * 30).plays("crawl", *[crawl] * 30)
    make_sagas(slow, 30)
    make_sagas(fast, 30)

    driver.drive(budget_s=20)

    assert statuses(fast) == ["completed"]
    assert "compensated" not in statuses(slow)


def test_no_more_calls_are_in_the_air_than_allowed(driver: Driver, service: HttpService) -> None:
    make_http(service, max_concurrency=2)
    definition = store(make_step("A"), make_step("B"))
    lock, in_air, most = threading.Lock(), [0], [0]

    def answer(got: Got) -> Reply:
        with lock:
            in_air[0] += 1
            most[0] = max(most[0], in_air[0])
        lock.acquire(timeout=0.02)
        in_air[0] -= 1
        lock.release()
        return Reply(body={})

    service.plays("doA", *[answer] * 6).plays("doB", *[answer] * 6)
    make_sagas(definition, 6)

    driver.drive()

    assert statuses(definition) == ["completed"]
    assert most[0] <= 2


def test_what_is_beyond_the_calls_per_second_waits_without_an_attempt(
    driver: Driver, service: HttpService
) -> None:
    make_http(service, max_rate=0.05)
    first, second = make_sagas(store(make_step("A")), 2)

    driver.drive(budget_s=0.2)

    first.refresh_from_db()
    assert first.status == "completed"
    assert journal_of(second) == []
    assert is_later(second, 60)


def test_an_open_breaker_defers_and_spends_no_attempt(driver: Driver, service: HttpService) -> None:
    make_http(service, breaker_failures=3, breaker_open_s=40)
    definition = store(make_step("A", retry=QUICK))
    service.plays("doA", *[BUSY] * 30)
    sagas = make_sagas(definition, 3)
    driver.drive()
    assert len(service.actions) == 3
    late = make_saga(definition, key="late")
    make_due()

    driver.drive()

    assert len(service.actions) == 3
    assert journal_of(late) == []
    assert JournalEntry.objects.filter(kind="step_sent").count() == 3
    assert all(is_later(saga, 60) for saga in [*sagas, late])


def test_undos_wait_for_an_open_breaker_as_well(driver: Driver, service: HttpService) -> None:
    make_http(service, breaker_failures=1, breaker_open_s=40)
    definition = store(make_step("A"), make_step("B", participant="Other"))
    Script("Other", doB=[no()]).register(definition)
    service.plays("undoA", BUSY)
    saga = make_saga(definition)
    driver.drive()
    make_due()

    driver.drive()

    assert service.keys == ["A/do", "A/undo"]
    assert is_later(saga, 60)


def test_a_breaker_closed_by_an_operator_lets_calls_through(
    driver: Driver, service: HttpService
) -> None:
    row = make_http(service, breaker_failures=2, breaker_open_s=600)
    definition = store(make_step("A", retry=QUICK))
    service.plays("doA", BUSY, BUSY)
    make_sagas(definition, 2)
    driver.drive()
    make_due()
    driver.drive()
    assert len(service.actions) == 2

    close_breaker(row, actor=None, reason="it is back")
    driver._routing._directory._read_at = float("-inf")
    make_due()
    driver.drive()

    assert statuses(definition) == ["completed"]


def test_sagas_that_wait_for_a_breaker_go_on_as_soon_as_it_is_closed(
    driver: Driver, service: HttpService
) -> None:
    row = make_http(service, breaker_failures=1, breaker_open_s=600)
    definition = store(make_step("A", retry=QUICK), name="broken")
    waiting = store(make_step("B"), name="waiting")
    service.plays("doA", BUSY)
    make_sagas(definition, 1)
    driver.drive()
    sagas = make_sagas(waiting, 5)
    driver.drive()
    assert all(is_later(saga, 60) for saga in sagas)

    close_breaker(row, actor=None, reason="it is back")
    driver._routing._directory._read_at = float("-inf")
    driver.drive()

    assert statuses(waiting) == ["completed"]


def test_a_saga_that_was_touched_meanwhile_is_not_called(driver: Driver) -> None:
    saga = make_saga(store(make_step("A")))
    Saga.objects.update(due_at=Now() + timedelta(seconds=30), epoch=4)
    seen = (saga.pk, 4, saga.version)

    recall([Lined(*seen)._replace(epoch=3), Lined(*seen)._replace(version=9)])
    assert is_later(saga, 60)
    recall([Lined(*seen)])

    saga.refresh_from_db()
    assert saga.due_at is not None
    assert saga.due_at <= timezone.now()


def test_a_no_of_the_business_leaves_the_breaker_closed(
    driver: Driver, service: HttpService
) -> None:
    make_http(service, breaker_failures=1)
    definition = store(make_step("A"))
    service.plays("doA", *[Reply(409, {})] * 5)
    make_sagas(definition, 5)

    driver.drive()

    assert len(service.actions) == 5
    assert statuses(definition) == ["compensated"]


def test_calls_are_counted_and_measured(driver: Driver, service: HttpService) -> None:
    make_http(service)
    make_sagas(store(make_step("A"), make_step("B")), 5)

    driver.drive()

    conditions = read_conditions({"Service": 0.0})
    assert conditions is not None
    found = conditions["Service"]
    assert (found.calls_per_minute, found.in_flight, found.outage_share) == (10, 0, 0.0)
    assert found.p95_s is not None
    assert 0 < found.p95_s < 5


def test_two_drivers_share_what_is_allowed(service: HttpService) -> None:
    make_http(service, max_concurrency=1)
    definition = store(make_step("A"))
    make_sagas(definition, 4)
    other, asked = Limits("other", lease_s=30), threading.Event()
    one = Driver(batch_size=50, concurrency=4)

    def answer(got: Got) -> Reply:
        [verdict] = other.exchange([Report("Service", Policy(max_concurrency=1), wanted=1)])
        if not verdict.granted:
            asked.set()
        return Reply(body={})

    service.plays("doA", answer)
    try:
        one.drive()
    finally:
        one.close()

    assert asked.is_set()
    assert statuses(definition) == ["completed"]


def test_local_callables_ask_nobody(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise AssertionError("Redis was asked")

    monkeypatch.setattr(Limits, "exchange", refuse)
    definition = store(make_step("A"), make_step("B"))
    Script().register(definition)
    make_sagas(definition, 5)

    driver.drive()

    assert statuses(definition) == ["completed"]
