"""Sagas that start at a time: there at once, begun later, and cancelled before without a trace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from sagas.core.definition import StepType
from sagas.core.moves import LOOK_AGAIN_S, Wait
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.exceptions import InvalidInput
from sagas.models import Saga
from sagas.signals import send_signal
from sagas.starting import Start, start, start_many
from sagas.verbs import Order, perform
from tests.builders import (
    Script,
    drive_on,
    journal_of,
    let_pass,
    make_definition,
    make_saga,
    make_step,
    store,
)
from tests.sagas.stories import BEGIN, Story

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def make_later(at: datetime, *, key: str = "order-1") -> Saga:
    started = start("test", {}, business_key=key, at=at)
    return Saga.objects.get(pk=started.saga_id)


def give(verb: Verb, saga: Saga) -> None:
    saga.refresh_from_db()
    perform(verb, saga.pk, Order(None, "because", f"{verb}-{saga.version}", saga.version))
    saga.refresh_from_db()


def test_a_saga_is_not_begun_before_its_time(driver: Driver) -> None:
    script = Script().register(store())
    at = timezone.now() + HOUR

    saga = make_later(at)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "running"
    assert saga.due_at == at
    assert not saga.begun
    assert script.actions == []


def test_a_saga_runs_when_its_time_has_come(driver: Driver) -> None:
    script = Script().register(store())
    saga = make_later(timezone.now() + HOUR)

    let_pass(saga, 3_601)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert script.actions == ["doA", "doB"]


def test_a_time_that_has_passed_means_at_once(driver: Driver) -> None:
    Script().register(store())

    saga = make_later(timezone.now() - HOUR)
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "completed"


def test_cancelling_before_the_time_calls_nobody(driver: Driver) -> None:
    """Edge case 29."""
    script = Script().register(store())
    saga = make_later(timezone.now() + HOUR)

    give(Verb.CANCEL, saga)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert saga.due_at is None
    assert script.actions == []


def test_a_pause_does_not_make_it_forget_its_time(driver: Driver) -> None:
    script = Script().register(store())
    at = timezone.now() + HOUR
    saga = make_later(at)

    give(Verb.PAUSE, saga)
    give(Verb.RESUME, saga)
    drive_on(driver, saga)

    assert saga.due_at == at
    assert script.actions == []


def test_a_signal_does_not_start_it_early(driver: Driver) -> None:
    store(make_step("A", type=StepType.SIGNAL, signal="go", participant="", action=""))
    at = timezone.now() + HOUR
    saga = make_later(at)

    send_signal(saga.pk, "go", message_id="m1")
    driver.drive()

    saga.refresh_from_db()
    assert saga.due_at == at
    assert "signal_taken A" not in journal_of(saga)


def test_those_that_start_later_hold_up_nobody_in_their_lane(driver: Driver) -> None:
    definition = store(make_step("A"))
    Script().register(definition)
    make_later(timezone.now() + HOUR, key="later")
    now = make_saga(definition, key="now")

    driver.drive()

    now.refresh_from_db()
    assert now.status == "completed"


def test_starts_of_one_call_may_have_different_times(driver: Driver) -> None:
    Script().register(store())
    at = timezone.now() + HOUR
    starts = [Start("a", {}), Start("b", {}, at=at), Start("c", {}), Start("d", {}, at=at + HOUR)]

    ids = [started.saga_id for started in start_many("test", starts)]
    driver.drive()

    statuses = dict(Saga.objects.values_list("pk", "status"))
    assert [statuses[pk] for pk in ids] == ["completed", "running", "completed", "running"]


def test_the_same_key_gives_the_first_saga_whenever_that_starts() -> None:
    store()
    at = timezone.now() + HOUR

    first = start("test", {}, business_key="k", idempotency_key="once", at=at)
    again = start("test", {}, business_key="k", idempotency_key="once", at=at + HOUR)

    assert again.saga_id == first.saga_id
    assert Saga.objects.get().due_at == at


def test_a_time_without_a_time_zone_is_refused() -> None:
    store()

    with pytest.raises(InvalidInput, match="time zone"):
        start("test", {}, business_key="k", at=datetime(2027, 3, 14))


def test_the_time_of_a_definition_counts_from_the_start_of_its_first_step(driver: Driver) -> None:
    Script().register(store(timeout_s=60.0))
    saga = make_later(timezone.now() + HOUR)

    let_pass(saga, 3_601)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"


def test_until_its_time_the_core_only_waits() -> None:
    definition = make_definition()
    story = Story(definition, starts_at=BEGIN + 2 * LOOK_AGAIN_S)

    assert story.move == Wait(BEGIN + 2 * LOOK_AGAIN_S)
    assert story.folded() == story.state
    assert story.wait().send().succeed().send().succeed().state.status == "completed"


def test_a_file_is_started_at_a_time(tmp_path: Path) -> None:
    store()
    file = tmp_path / "orders.csv"
    file.write_text("no\n1\n2\n")

    command = ("saga", "start", str(file), "--definition", "test", "--key", "no", "--at")
    call_command(*command, "2099-03-14T09:00:00+09:00")

    at = datetime(2099, 3, 14, tzinfo=UTC)
    assert {saga.due_at for saga in Saga.objects.all()} == {at}
    with pytest.raises(CommandError, match="--at"):
        call_command(*command, "2099-03-14T09:00:00")
