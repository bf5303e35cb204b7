"""What an undo says: which action it takes back, up to which generation."""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import Any

import pytest

from sagas.core.definition import OnFailure, OnUnknown, Step, StepType
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.models import Participant, Saga
from sagas.participants import local
from sagas.participants.calls import Call
from sagas.participants.local import batch_action
from sagas.replies import take_reply
from sagas.verbs import Details, Order, perform
from tests.builders import (
    QUICK,
    Script,
    drive_on,
    let_pass,
    make_participant,
    make_saga,
    make_step,
    no,
    store,
)
from tests.sagas.http_service import LOST, HttpService, Reply
from tests.sagas.messages import commands_of, reach_by_messages, reply_to

pytestmark = pytest.mark.django_db

NO = Reply(409, {"error": {"code": "no", "message": "No."}})


def give(verb: Verb, saga: Saga, *, to: str = "", **details: Any) -> None:
    perform(verb, saga.pk, Order(None, "because", str(uuid.uuid4())), Details(step=to, **details))


def go_on(driver: Driver, saga: Saga, times: int = 1) -> str:
    for _ in range(times):
        drive_on(driver, saga)
    saga.refresh_from_db()
    return saga.status


def undone(script: Script) -> list[tuple[str, str]]:
    """Return key and `undoes` of every undo, without the saga."""
    return [_pair(call.idempotency_key, call.undoes) for call in script.calls if call.undoes]


def undone_over_http(service: HttpService) -> list[tuple[str, str]]:
    calls = [got for got in service.requests if "Sagadesk-Undoes" in got.headers]
    return [_pair(got.key, got.headers["Sagadesk-Undoes"]) for got in calls]


def _pair(key: str, undoes: str) -> tuple[str, str]:
    saga, _, own = key.partition("/")
    assert undoes.startswith(f"{saga}/")
    return own, undoes.removeprefix(f"{saga}/")


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def stopped(driver: Driver, script: Script) -> Saga:
    """A parked saga of A and B, whose B said no."""
    definition = store(make_step("A"), make_step("B"), on_failure=OnFailure.PARK)
    script.script["doB"] = [no()]
    script.register(definition)
    saga = make_saga(definition)
    driver.drive()
    return saga


@pytest.fixture
def parked(driver: Driver, service: HttpService) -> Saga:
    """A parked saga of A and B at an HTTP service; nobody knows whether B was done."""
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    service.plays("doB", LOST)
    saga = make_saga(store(make_step("A"), make_step("B", on_unknown=OnUnknown.PARK)))
    driver.drive()
    return saga


def test_an_undo_names_the_action_of_its_step(driver: Driver, script: Script) -> None:
    definition = store(make_step("A"), make_step("B"))
    script.script["doB"] = [no()]
    script.register(definition)

    saga = make_saga(definition)
    driver.drive()

    assert go_on(driver, saga) == "compensated"
    assert undone(script) == [("A/undo", "A/do")]


def test_the_undo_of_a_step_that_was_retried_names_the_last_key(
    driver: Driver, script: Script, stopped: Saga
) -> None:
    script.script["doB"] = [no()]
    for _ in range(2):
        give(Verb.RETRY, stopped)
        go_on(driver, stopped)

    give(Verb.COMPENSATE, stopped)

    assert go_on(driver, stopped) == "compensated"
    assert undone(script) == [("B/undo", "B/do/3"), ("A/undo", "A/do")]


def test_the_undo_of_a_rewound_step_names_what_was_done_anew(
    driver: Driver, script: Script, stopped: Saga
) -> None:
    give(Verb.REWIND, stopped, to="A")
    assert go_on(driver, stopped) == "completed"
    assert undone(script) == [("A/undo", "A/do")]

    give(Verb.COMPENSATE, stopped)
    go_on(driver, stopped)

    assert undone(script)[1:] == [("B/undo", "B/do/2"), ("A/undo/2", "A/do/2")]


def test_a_step_undone_by_hand_and_done_anew_is_undone_by_its_new_key(
    driver: Driver, script: Script
) -> None:
    definition = store(*map(make_step, "ABC"))
    script.script |= {"doC": [no()], "undoA": [no()], "undoB": [no()]}
    script.register(definition)
    saga = make_saga(definition)
    driver.drive()
    assert go_on(driver, saga) == "failed"
    give(Verb.MARK_DONE, saga, to="B", evidence="receipt 7")
    give(Verb.REWIND, saga, to="A")
    assert go_on(driver, saga) == "completed"

    give(Verb.COMPENSATE, saga, steps=("B",))
    go_on(driver, saga)

    assert undone(script)[-2:] == [("A/undo/2", "A/do"), ("B/undo/2", "B/do/2")]


def test_an_undo_ordered_again_after_a_no_names_the_same_action(
    driver: Driver, script: Script, stopped: Saga
) -> None:
    script.script["undoA"] = [no()]
    give(Verb.COMPENSATE, stopped)
    go_on(driver, stopped)

    give(Verb.RETRY, stopped)

    assert go_on(driver, stopped) == "compensated"
    assert undone(script) == [("A/undo", "A/do"), ("A/undo/2", "A/do")]


def test_an_undo_of_chosen_steps_names_their_actions(
    driver: Driver, script: Script, stopped: Saga
) -> None:
    give(Verb.RETRY, stopped)
    assert go_on(driver, stopped) == "completed"

    give(Verb.COMPENSATE, stopped, steps=("B",))
    go_on(driver, stopped)
    give(Verb.REWIND, stopped, to="B")

    assert go_on(driver, stopped) == "completed"
    assert undone(script) == [("B/undo", "B/do/2")]
    assert script.calls[-1].idempotency_key == f"{stopped.pk}/B/do/3"


def test_the_undo_of_a_step_in_doubt_names_the_call_without_an_answer(
    driver: Driver, service: HttpService, parked: Saga
) -> None:
    give(Verb.REWIND, parked, to="B")

    assert go_on(driver, parked, 2) == "completed"
    assert undone_over_http(service) == [("B/undo", "B/do")]
    assert service.requests[-1].key == f"{parked.pk}/B/do/2"


def test_actions_name_nothing(driver: Driver, service: HttpService, parked: Saga) -> None:
    actions = [got for got in service.requests if got.action.startswith("do")]

    assert actions
    assert not any("Sagadesk-Undoes" in got.headers for got in actions)


def test_a_late_success_of_an_older_key_is_undone_with_all_that_came_after(
    driver: Driver, service: HttpService
) -> None:
    """Edge case 12: what was done under the first key is behind the one that the undo names."""
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    service.plays("doA", NO, NO)
    saga = make_saga(store(make_step("A"), on_failure=OnFailure.PARK))
    driver.drive()
    give(Verb.RETRY, saga)
    go_on(driver, saga)
    late = {"correlation_id": f"{saga.pk}/A/do", "attempt": 1, "outcome": "succeeded"}
    assert take_reply({"message_id": "late-1"} | late) == "recorded"

    give(Verb.COMPENSATE, saga)

    assert go_on(driver, saga) == "compensated"
    assert undone_over_http(service) == [("A/undo", "A/do/2")]


def test_another_worker_names_the_same_action_after_the_first_one_was_lost(
    driver: Driver, service: HttpService, parked: Saga
) -> None:
    """What is named comes from the saga's row, not from anybody's memory."""
    give(Verb.REWIND, parked, to="A")
    service.plays("undoB", LOST)
    go_on(driver, parked)

    with closing(Driver()) as other:
        go_on(other, parked, 3)

    assert parked.status == "completed"
    assert undone_over_http(service) == [
        ("B/undo", "B/do"),
        ("B/undo", "B/do"),
        ("A/undo", "A/do"),
    ]


def test_a_callable_for_many_is_told_which_actions_it_takes_back(driver: Driver) -> None:
    told: list[Call] = []

    @batch_action("Service", "undoA")
    def undo_all(calls: list[Call]) -> list[None]:
        told.extend(calls)
        return [None] * len(calls)

    def refuse(call: Call) -> None:
        raise no()

    local.register("Service", "doA", lambda call: None)
    local.register("Service", "doB", refuse)
    definition = store(make_step("A"), make_step("B"))
    sagas = [make_saga(definition, key=f"order-{number}") for number in range(3)]

    driver.drive()

    assert {call.undoes for call in told} == {f"{saga.pk}/A/do" for saga in sagas}


def test_the_command_of_an_undo_names_the_action_in_a_header(driver: Driver) -> None:
    reach_by_messages("Service")
    saga = make_saga(store(make_step("A", retry=QUICK), make_step("B", retry=QUICK)))
    driver.drive()
    take_reply(reply_to(commands_of(saga)[-1]))
    go_on(driver, saga)
    refusal = {"error": {"code": "no", "message": "No."}}
    take_reply(reply_to(commands_of(saga)[-1], "failed", **refusal))
    let_pass(saga, 1)
    driver.drive()

    do, _, undo = commands_of(saga)

    assert undo.headers["undoes"] == f"{saga.pk}/A/do"
    assert "undoes" not in do.headers


def test_the_steps_of_a_saga_that_is_a_step_are_undone_by_their_own_keys(
    driver: Driver, script: Script
) -> None:
    """Edge case 28: done anew, the step has another child, with keys of its own."""
    shipping = store(make_step("P"), name="shipping")
    ship = Step("Ship", "shipping", "start", "compensate", type=StepType.SAGA)
    order = store(ship, make_step("B"), name="order", on_failure=OnFailure.PARK)
    script.script["doB"] = [no()]
    script.register(shipping).register(order)
    saga = make_saga(order)
    for _ in range(4):
        drive_on(driver, *Saga.objects.filter(due_at__isnull=False))
    first = Saga.objects.get(definition__name="shipping")

    give(Verb.REWIND, saga, to="Ship")
    for _ in range(8):
        drive_on(driver, *Saga.objects.filter(due_at__isnull=False))

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert [call.undoes for call in script.calls if call.undoes] == [f"{first.pk}/P/do"]
    second = Saga.objects.filter(definition__name="shipping").exclude(pk=first.pk).get()
    assert [c.idempotency_key for c in script.calls if c.action == "doP"] == [
        f"{first.pk}/P/do",
        f"{second.pk}/P/do",
    ]
