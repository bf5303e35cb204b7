"""Participants reached by messages: commands leave with the commit, replies are waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.utils.dateparse import parse_datetime

from outbox.models import Delivery
from outbox.routes import pause_route
from sagas import missing
from sagas.core.definition import OnUnknown
from sagas.core.verbs import Verb
from sagas.engine import recording
from sagas.engine.driver import Driver
from sagas.engine.held import Change
from sagas.models import Saga
from sagas.participants import local
from sagas.participants.directory import pause_participant
from sagas.replies import take_reply
from sagas.verbs import Order, perform
from tests.builders import (
    QUICK,
    Script,
    drive_on,
    journal_of,
    let_pass,
    make_participant,
    make_saga,
    make_step,
    store,
)
from tests.sagas.messages import commands_of, reach_by_messages, reply_to

pytestmark = pytest.mark.django_db


def make_waiting_saga(driver: Driver, **overrides: Any) -> Saga:
    """Return a saga whose first command has left."""
    definition = store(make_step("A", retry=QUICK, **overrides), make_step("B", retry=QUICK))
    saga = make_saga(definition, input={"amount": 3})
    driver.drive()
    saga.refresh_from_db()
    return saga


def drive_later(driver: Driver, saga: Saga, seconds: float) -> None:
    let_pass(saga, seconds)
    driver.drive()
    saga.refresh_from_db()


def test_a_command_leaves_in_the_transaction_that_records_it(driver: Driver) -> None:
    """Edge case 10: whoever replies to it finds the step waiting."""
    reach_by_messages("Service")

    saga = make_waiting_saga(driver)

    [command] = commands_of(saga)
    assert journal_of(saga) == ["step_waiting A"]
    assert saga.epoch == 0
    assert command.type == "command.Service.doA"
    assert command.key == str(saga.pk)
    assert Delivery.objects.filter(route__name="commands").get().message_id == command.pk
    assert take_reply(reply_to(command)) == "recorded"


def test_a_command_tells_what_an_http_call_would_tell(driver: Driver) -> None:
    reach_by_messages("Service")

    saga = make_waiting_saga(driver, timeout_s=60.0)

    [command] = commands_of(saga)
    assert command.payload == {
        "saga_id": str(saga.pk),
        "business_key": "order-1",
        "definition": "test",
        "step": "A",
        "action": "doA",
        "direction": "forward",
        "attempt": 1,
        "input": {"amount": 3},
        "outputs": {},
    }
    deadline = parse_datetime(command.headers.pop("deadline"))
    assert deadline is not None
    assert saga.due_at is not None
    assert abs((deadline - saga.due_at).total_seconds()) < 0.01
    assert command.headers == {
        "participant": "Service",
        "direction": "forward",
        "attempt": 1,
        "idempotencykey": f"{saga.pk}/A/do",
        "correlationid": f"{saga.pk}/A/do",
        "replyto": "sagadesk:replies",
    }


def test_a_saga_goes_on_with_each_reply_and_completes(driver: Driver) -> None:
    reach_by_messages("Service")
    saga = make_waiting_saga(driver)

    take_reply(reply_to(commands_of(saga)[0], output={"seat": "4A"}))
    drive_on(driver, saga)
    take_reply(reply_to(commands_of(saga)[1]))
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert commands_of(saga)[1].payload["outputs"] == {"A": {"seat": "4A"}}
    assert journal_of(saga) == [
        "step_waiting A",
        "step_succeeded A",
        "step_waiting B",
        "step_succeeded B",
        "saga_completed",
    ]


def test_a_local_step_and_the_command_after_it_are_one_round(driver: Driver) -> None:
    """The command tells what the local step has returned a moment ago."""
    reach_by_messages("Remote")
    definition = store(make_step("A"), make_step("B", participant="Remote"))
    Script().register(definition)
    saga = make_saga(definition)

    driver.drive()

    [command] = commands_of(saga)
    assert command.payload["outputs"] == {"A": {"did": "doA"}}


def test_a_refusal_undoes_by_messages_too(driver: Driver) -> None:
    reach_by_messages("Service")
    saga = make_waiting_saga(driver)
    take_reply(reply_to(commands_of(saga)[0]))
    drive_on(driver, saga)

    error = {"code": "sold_out", "message": "Nothing is left."}
    take_reply(reply_to(commands_of(saga)[1], "failed", error=error))
    drive_on(driver, saga)
    undo = commands_of(saga)[2]
    take_reply(reply_to(undo))
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert undo.type == "command.Service.undoA"
    assert undo.headers["idempotencykey"] == f"{saga.pk}/A/undo"
    assert undo.headers["direction"] == "backward"
    assert saga.state["cause"]["class"] == "sold_out"


def test_an_overdue_reply_leaves_the_outcome_unknown_and_asks_again(driver: Driver) -> None:
    reach_by_messages("Service")
    saga = make_waiting_saga(driver, timeout_s=30.0)

    drive_later(driver, saga, 31)
    drive_later(driver, saga, 1)

    first, second = commands_of(saga)
    assert journal_of(saga) == ["step_waiting A", "step_unknown A", "step_waiting A"]
    assert second.headers["idempotencykey"] == first.headers["idempotencykey"]
    assert (first.headers["attempt"], second.headers["attempt"]) == (1, 2)


def test_a_step_that_must_not_be_repeated_is_undone_instead(driver: Driver) -> None:
    reach_by_messages("Service")
    saga = make_waiting_saga(driver, timeout_s=30.0, on_unknown=OnUnknown.COMPENSATE)

    drive_later(driver, saga, 31)

    drive_on(driver, saga)
    assert [command.type for command in commands_of(saga)] == [
        "command.Service.doA",
        "command.Service.undoA",
    ]


def test_a_reply_to_the_first_attempt_after_the_second_one_left_does_not_advance(
    driver: Driver,
) -> None:
    """Edge case 3."""
    reach_by_messages("Service")
    saga = make_waiting_saga(driver, timeout_s=30.0)
    drive_later(driver, saga, 31)
    drive_later(driver, saga, 1)

    take_reply(reply_to(commands_of(saga)[0]))

    saga.refresh_from_db()
    assert saga.state["steps"][0]["status"] == "waiting"
    assert journal_of(saga)[-1] == "late_reply A"


def test_a_paused_participant_gets_no_new_commands(driver: Driver) -> None:
    reach_by_messages("Service")
    participant = make_participant("Other", transport="message")
    pause_participant(participant, actor=None, reason="maintenance")
    definition = store(make_step("A", participant="Other"))
    saga = make_saga(definition)

    driver.drive()

    saga.refresh_from_db()
    assert commands_of(saga) == []
    assert saga.state["steps"][0] == {}


def test_while_its_route_is_paused_no_reply_is_waited_for(driver: Driver) -> None:
    route = reach_by_messages("Service")
    pause_route(route, actor=None, reason="maintenance")

    saga = make_waiting_saga(driver)

    assert commands_of(saga) == []
    assert journal_of(saga) == []


def test_a_command_that_no_route_takes_is_not_sent_but_reported(driver: Driver) -> None:
    missing.forget()
    reach_by_messages("Service", types=["command.Service.undo*"])

    saga = make_waiting_saga(driver)
    missing.report()

    assert commands_of(saga) == []
    wanted = missing.Missing(missing.Kind.ROUTE, "Service", "doA")
    assert wanted in [report.missing for report in missing.reports()]


def test_a_command_too_large_for_a_message_fails_its_step_and_no_other_saga(
    driver: Driver, settings: Any
) -> None:
    settings.OUTBOX_MAX_PAYLOAD_BYTES = 1_000
    reach_by_messages("Service")
    definition = store(make_step("A"), make_step("B"))
    large = make_saga(definition, key="large", input={"text": "x" * 2_000})
    small = make_saga(definition, key="small")

    driver.drive()

    large.refresh_from_db()
    assert large.status == "compensated"
    assert large.state["cause"]["class"] == "PayloadTooLarge"
    assert len(commands_of(small)) == 1


def test_a_cancelled_saga_waits_for_its_reply_and_is_undone(driver: Driver) -> None:
    reach_by_messages("Service")
    saga = make_waiting_saga(driver)

    perform(Verb.CANCEL, saga.pk, Order(None, "not wanted", "r1", saga.version))
    take_reply(reply_to(commands_of(saga)[0]))
    drive_on(driver, saga)

    assert [command.type for command in commands_of(saga)] == [
        "command.Service.doA",
        "command.Service.undoA",
    ]


def test_commands_of_a_round_that_was_rolled_back_do_not_leave(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach_by_messages("Service")
    saga = make_saga(store(make_step("A"), make_step("B")))
    write = recording.write
    rounds = []

    def write_and_be_overtaken(changes: Sequence[Change], **options: Any) -> None:
        monkeypatch.undo()
        write(changes, **options)
        rounds.append(len(commands_of(saga)))
        raise recording.StaleBatch(set())

    monkeypatch.setattr(recording, "write", write_and_be_overtaken)
    driver.drive()

    assert rounds == [1]
    assert len(commands_of(saga)) == 1
    assert journal_of(saga) == ["step_waiting A"]


def test_a_probe_asks_a_callable_of_this_process(driver: Driver) -> None:
    """A message cannot be answered at once; without a callable the console says what is missing."""
    reach_by_messages("Service")
    local.register("Service", "findA", lambda call: {"outcome": "succeeded", "output": 7})
    saga = make_waiting_saga(driver, timeout_s=30.0, on_unknown=OnUnknown.PROBE, probe="findA")

    drive_later(driver, saga, 31)
    drive_later(driver, saga, 10)

    assert saga.state["steps"][0]["output"] == 7
    assert commands_of(saga)[-1].type == "command.Service.doB"
