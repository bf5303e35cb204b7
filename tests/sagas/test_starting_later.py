"""Sagas that start at a time: there at once, begun later, and cancelled before without a trace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from outbox.models import Message
from sagas.checking import check_sagas
from sagas.core import happenings as h
from sagas.core.definition import StepType
from sagas.core.moves import LOOK_AGAIN_S, Wait
from sagas.core.verbs import Verb
from sagas.engine import intervening
from sagas.engine.driver import Driver
from sagas.exceptions import InvalidInput
from sagas.models import JournalEntry, Saga
from sagas.signals import send_signal
from sagas.starting import Start, start, start_many
from sagas.testing import simulate
from sagas.verbs import Order, perform
from tests.builders import (
    QUICK,
    Script,
    drive_on,
    journal_of,
    let_pass,
    make_definition,
    make_saga,
    make_step,
    store,
)
from tests.sagas.messages import reach_by_messages
from tests.sagas.rivals import end_lease
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
    story.wait().time_out()
    assert story.kinds == ["saga_started"]
    assert story.folded() == story.state
    assert story.send().succeed().send().succeed().state.status == "completed"


def test_a_move_before_its_time_leaves_it_the_time_of_the_new_version() -> None:
    story = Story(make_definition(timeout_s=60.0, version=1), starts_at=BEGIN + 10)
    target = make_definition(timeout_s=90.0, version=2)

    story.happens(h.Ordered(BEGIN, Verb.MOVE, "operator", "because", target=target))
    story.definition = target
    story.wait().time_out().send()

    assert story.state.deadline == BEGIN + 10 + 90
    assert story.folded() == story.state


# What it tells others -------------------------------------------------------------------------


def events() -> list[str]:
    return list(Message.objects.order_by("created_at", "pk").values_list("type", flat=True))


def test_what_starts_later_tells_so_when_it_begins_and_once(driver: Driver) -> None:
    definition = store(make_step("A", retry=QUICK))
    Script(doA=[RuntimeError("not yet")]).register(definition)
    saga = make_later(timezone.now() + HOUR)
    driver.drive()
    assert events() == []

    let_pass(saga, 3_601)
    driver.drive()
    drive_on(driver, saga)

    assert events() == ["saga.started", "saga.completed"]
    assert journal_of(saga) == [
        "saga_started",
        "step_failed A",
        "step_succeeded A",
        "saga_completed",
    ]
    assert list(check_sagas()) == []


def test_a_time_that_has_passed_is_told_when_it_begins(driver: Driver) -> None:
    Script().register(store())
    saga = make_later(timezone.now() - HOUR)
    assert events() == []

    drive_on(driver, saga)

    assert events() == ["saga.started", "saga.completed"]


@pytest.mark.django_db(transaction=True)
def test_it_tells_in_the_transaction_in_which_its_first_call_leaves(driver: Driver) -> None:
    store(make_step("A"))
    reach_by_messages("Service")
    saga = make_later(timezone.now() + HOUR)

    let_pass(saga, 3_601)
    driver.drive()

    assert sorted(events()) == ["command.Service.doA", "saga.started"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xmin FROM outbox_message UNION"
            " SELECT xmin FROM sagas_journalentry WHERE kind IN ('saga_started', 'step_waiting')"
        )
        assert len(cursor.fetchall()) == 1


def test_what_is_cancelled_before_its_time_has_never_started(driver: Driver) -> None:
    Script().register(store())
    saga = make_later(timezone.now() + HOUR)

    give(Verb.CANCEL, saga)
    let_pass(saga, 3_601)
    driver.drive()

    assert events() == ["saga.compensated"]
    assert list(check_sagas()) == []


def test_what_is_paused_when_its_time_comes_begins_when_it_is_resumed(driver: Driver) -> None:
    Script().register(store())
    saga = make_later(timezone.now() + HOUR)
    give(Verb.PAUSE, saga)
    let_pass(saga, 3_601)
    driver.drive()
    assert events() == []

    give(Verb.RESUME, saga)
    drive_on(driver, saga)

    assert events() == ["saga.started", "saga.completed"]


def test_what_an_older_release_has_announced_is_not_announced_again(driver: Driver) -> None:
    """There the call itself wrote `saga_started` and published it."""
    Script().register(store())
    saga = make_later(timezone.now() + HOUR)
    state = {name: value for name, value in saga.state.items() if name != "scheduled"}
    Saga.objects.filter(pk=saga.pk).update(state=state)
    JournalEntry.objects.filter(saga=saga).update(kind="saga_started")
    assert list(check_sagas()) == []

    let_pass(saga, 3_601)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert events() == ["saga.completed"]
    assert list(check_sagas()) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_while_it_begins_neither_loses_nor_repeats_the_start(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Before: the transaction of the start is lost. After: it is committed, and nobody goes on."""
    Script().register(store())
    saga = make_later(timezone.now() + HOUR)
    let_pass(saga, 3_601)

    def crash(*args: Any) -> None:
        raise OperationalError("The server closed the connection.")

    # Before: after everything is written, but not committed.
    where: Any = intervening if moment == "before" else Driver
    name = "tell_parents" if moment == "before" else "_go_on"
    intact = getattr(where, name)
    monkeypatch.setattr(where, name, crash)
    with pytest.raises(OperationalError):
        Driver().drive()
    monkeypatch.setattr(where, name, intact)
    assert events() == ([] if moment == "before" else ["saga.started"])
    end_lease(saga)
    driver.drive()

    assert events() == ["saga.started", "saga.completed"]
    assert list(check_sagas()) == []


def test_a_start_at_once_stores_nothing_of_a_schedule() -> None:
    saga = make_saga(store())

    assert saga.state == {"status": "running", "steps": [{}, {}]}
    assert events() == ["saga.started"]


def test_a_simulation_begins_later_too() -> None:
    run = simulate(make_definition(), after="1h").settle()
    assert (run.calls, run.step("A")) == ([], "pending")
    assert "scheduled  to begin in 60 min" in run.timeline()

    run.to_end()

    assert (run.status, run.elapsed_s) == ("completed", 3_600)
    assert [entry.kind for entry in run.journal][:2] == ["saga_scheduled", "saga_started"]


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
