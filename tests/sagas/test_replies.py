"""Replies of participants: recorded once, late ones kept, and the rest buried."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from dlq.models import DeadLetter
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.models import JournalEntry, Participant, Saga
from sagas.replies import take_reply
from sagas.verbs import Order, perform
from tests.builders import (
    QUICK,
    drive_on,
    journal_of,
    let_pass,
    make_participant,
    make_saga,
    make_step,
    store,
)
from tests.sagas.http_service import HttpService, Reply
from tests.sagas.rivals import rival

pytestmark = pytest.mark.django_db

ACCEPTED = Reply(202, {})
NO = Reply(409, {})


@pytest.fixture
def waiting(driver: Driver, service: HttpService) -> Saga:
    """A saga whose first step was accepted; its reply is awaited."""
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    definition = store(make_step("A", retry=QUICK), make_step("B"))
    service.plays("doA", ACCEPTED)
    saga = make_saga(definition)
    driver.drive()
    saga.refresh_from_db()
    return saga


def a_reply(saga: Saga, **overrides: Any) -> dict[str, Any]:
    return {
        "message_id": "m1",
        "correlation_id": f"{saga.pk}/A/do",
        "attempt": 1,
        "outcome": "succeeded",
        "output": {"seat": "4A"},
    } | overrides


def the_letter() -> DeadLetter:
    return DeadLetter.objects.get()


def test_a_reply_completes_its_step_and_the_saga_goes_on(driver: Driver, waiting: Saga) -> None:
    assert take_reply(a_reply(waiting)) == "recorded"
    drive_on(driver, waiting)

    waiting.refresh_from_db()
    assert waiting.status == "completed"
    assert waiting.state["steps"][0]["output"] == {"seat": "4A"}
    entry = JournalEntry.objects.get(saga=waiting, kind="step_succeeded", step="A")
    assert entry.data["message_id"] == "m1"


def test_a_reply_that_says_no_undoes_the_saga(driver: Driver, waiting: Saga) -> None:
    error = {"code": "sold_out", "message": "Nothing left."}

    assert take_reply(a_reply(waiting, outcome="failed", error=error)) == "recorded"
    driver.drive()

    waiting.refresh_from_db()
    assert waiting.status == "compensated"
    assert waiting.state["cause"] == {
        "step": "A",
        "class": "sold_out",
        "message": "Nothing left.",
    }


def test_a_reply_of_a_passing_failure_is_followed_by_another_attempt(
    driver: Driver, waiting: Saga, service: HttpService
) -> None:
    take_reply(a_reply(waiting, outcome="failed", retryable=True))

    let_pass(waiting, 1)
    driver.drive()

    assert service.keys == ["A/do", "A/do", "B/do"]


def test_a_reply_to_an_undo_is_recorded(driver: Driver, service: HttpService) -> None:
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    definition = store(make_step("A"), make_step("B"))
    service.plays("doB", NO).plays("undoA", ACCEPTED)
    saga = make_saga(definition)
    driver.drive()

    assert take_reply(a_reply(saga, correlation_id=f"{saga.pk}/A/undo")) == "recorded"

    saga.refresh_from_db()
    assert saga.status == "compensated"


def test_the_same_reply_twice_is_recorded_once(driver: Driver, waiting: Saga) -> None:
    """Edge case 8."""
    take_reply(a_reply(waiting))
    version = Saga.objects.get().version

    assert take_reply(a_reply(waiting)) == "repeated"

    assert Saga.objects.get().version == version
    assert not DeadLetter.objects.exists()


def test_a_second_reply_under_another_name_advances_nothing(driver: Driver, waiting: Saga) -> None:
    """Edge case 8."""
    take_reply(a_reply(waiting))

    assert take_reply(a_reply(waiting, message_id="m2", output={})) == "recorded"

    waiting.refresh_from_db()
    assert journal_of(waiting)[-1] == "late_reply A"
    assert waiting.state["steps"][0]["output"] == {"seat": "4A"}


def test_a_reply_after_the_timeout_is_kept_and_never_advances(
    driver: Driver, waiting: Saga
) -> None:
    """Edge case 3."""
    let_pass(waiting, 31)
    driver.drive()

    assert take_reply(a_reply(waiting)) == "recorded"

    waiting.refresh_from_db()
    assert journal_of(waiting)[-2:] == ["step_unknown A", "late_reply A"]
    assert waiting.state["steps"][0]["status"] == "unknown"


def test_a_reply_after_the_saga_was_undone_is_undone_as_well(
    driver: Driver, waiting: Saga, service: HttpService
) -> None:
    """Edge cases 4 and 11."""
    take_reply(a_reply(waiting, outcome="failed"))
    assert Saga.objects.get().status == "compensated"

    assert take_reply(a_reply(waiting, message_id="m2")) == "recorded"
    assert Saga.objects.get().status == "compensating"
    drive_on(driver, waiting)

    assert Saga.objects.get().status == "compensated"
    assert service.keys == ["A/do", "A/undo"]


def test_a_reply_during_a_pause_waits_for_the_end_of_it(
    driver: Driver, waiting: Saga, service: HttpService
) -> None:
    """Edge case 22."""
    perform(Verb.PAUSE, waiting.pk, Order(None, "because", "r1"))

    assert take_reply(a_reply(waiting)) == "recorded"
    driver.drive()
    assert service.actions == ["doA"]
    perform(Verb.RESUME, waiting.pk, Order(None, "because", "r2"))
    drive_on(driver, waiting)

    assert service.actions == ["doA", "doB"]


def test_a_reply_for_a_finished_saga_is_buried(driver: Driver, waiting: Saga) -> None:
    """Edge case 11."""
    take_reply(a_reply(waiting))
    drive_on(driver, waiting)

    assert take_reply(a_reply(waiting, message_id="m2"), participant="Service") == "buried"

    letter = the_letter()
    assert (letter.reason, letter.saga_id) == ("finished_saga", waiting.pk)
    assert (letter.destination, letter.message_id) == ("Service", "m2")


def test_a_reply_for_an_unknown_saga_is_buried() -> None:
    """Edge case 11."""
    assert take_reply(a_reply(Saga(pk=uuid.uuid4()))) == "buried"

    assert the_letter().reason == "unknown_saga"


def test_a_timer_of_a_finished_saga_does_nothing(driver: Driver, waiting: Saga) -> None:
    """Edge case 11."""
    take_reply(a_reply(waiting))
    drive_on(driver, waiting)
    before = journal_of(waiting)

    let_pass(waiting, 31)
    driver.drive()

    assert journal_of(waiting) == before


@pytest.mark.parametrize(
    ("key", "attempt"), [("A/do", 2), ("A/undo", 1), ("B/do", 1), ("B/undo", 1)]
)
def test_a_reply_to_a_call_that_was_never_made_is_buried(
    waiting: Saga, key: str, attempt: int
) -> None:
    """Edge case 17."""
    reply = a_reply(waiting, correlation_id=f"{waiting.pk}/{key}", attempt=attempt)

    assert take_reply(reply) == "buried"

    assert (the_letter().reason, the_letter().saga_id) == ("poison", waiting.pk)
    assert Saga.objects.get().version == waiting.version


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "text",
        [],
        {},
        {"message_id": 7},
        {"message_id": "m1", "outcome": "maybe"},
        {"message_id": "m1", "outcome": "succeeded", "correlation_id": "x"},
        {
            "message_id": "m1",
            "outcome": "succeeded",
            "correlation_id": "01a1f8c8-dfdd-7d37-90c7-5c4ada994c64/A/redo",
        },
        {"message_id": "m1", "outcome": "succeeded", "attempt": 0},
        {"message_id": "m1", "outcome": "succeeded", "attempt": True},
        {"message_id": "a\x00b", "outcome": "succeeded"},
    ],
    ids=str,
)
def test_a_reply_that_cannot_be_read_is_buried(payload: Any) -> None:
    """Edge case 17."""
    assert take_reply(payload) == "buried"

    assert the_letter().reason == "poison"


@pytest.mark.parametrize(
    "output", ["x" * 70_000, "a\x00b", float("nan"), "\ud800"], ids=["big", "nul", "nan", "half"]
)
def test_a_reply_whose_output_cannot_be_kept_is_buried(waiting: Saga, output: Any) -> None:
    """Edge cases 17 and 36."""
    assert take_reply(a_reply(waiting, output=output)) == "buried"

    assert the_letter().reason == "poison"
    assert Saga.objects.get().version == waiting.version


def test_a_reply_to_a_step_that_does_not_exist_is_buried(waiting: Saga) -> None:
    """Edge case 17."""
    assert take_reply(a_reply(waiting, correlation_id=f"{waiting.pk}/Z/do")) == "buried"

    assert (the_letter().reason, the_letter().saga_id) == ("poison", waiting.pk)


@pytest.mark.django_db(transaction=True)
def test_a_reply_that_is_faster_than_the_answer_is_found(
    driver: Driver, service: HttpService
) -> None:
    """Edge case 10: the call was recorded before it left."""
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    definition = store(make_step("A"), make_step("B"))
    saga = make_saga(definition)

    def reply_first(got: Any) -> Reply:
        with rival() as other:
            assert other.do(lambda: take_reply(a_reply(saga))) == "recorded"
        return ACCEPTED

    service.plays("doA", reply_first)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert saga.state["steps"][0]["output"] == {"seat": "4A"}
    assert service.actions == ["doA", "doB"]


@pytest.mark.django_db(transaction=True)
def test_the_same_reply_twice_at_the_same_moment_is_recorded_once(
    driver: Driver, waiting: Saga
) -> None:
    """Edge case 8."""
    with rival() as one, rival() as two:
        replies = [other.begin(lambda: take_reply(a_reply(waiting))) for other in (one, two)]
        outcomes = sorted(reply.result(20) for reply in replies)

    assert outcomes == ["recorded", "repeated"]
