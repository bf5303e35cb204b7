"""Asking a participant what became of a call whose answer got lost (edge case 1)."""

from __future__ import annotations

from typing import Any

import pytest

from sagas.core.definition import Definition, OnUnknown
from sagas.engine.driver import Driver
from sagas.models import Participant, Saga
from sagas.participants import local
from tests.builders import QUICK, let_pass, make_participant, make_saga, make_step, store
from tests.sagas.http_service import LOST, HttpService, Reply

pytestmark = pytest.mark.django_db


@pytest.fixture
def definition(service: HttpService) -> Definition:
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    step = make_step("A", retry=QUICK, on_unknown=OnUnknown.PROBE, probe="askA")
    return store(step, make_step("B", retry=QUICK))


def drive(driver: Driver, saga: Saga, times: int = 8) -> Saga:
    for _ in range(times):
        let_pass(saga, 60)
        driver.drive()
    saga.refresh_from_db()
    return saga


def told(outcome: str, **more: Any) -> Reply:
    return Reply(200, {"outcome": outcome} | more)


def test_what_took_effect_is_not_done_again(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("doA", LOST).plays("askA", told("succeeded", output={"seat": "4A"}))

    saga = drive(driver, make_saga(definition))

    assert saga.status == "completed"
    assert service.actions == ["doA", "askA", "doB"]
    assert saga.state["steps"][0]["output"] == {"seat": "4A"}
    assert service.keys[:2] == ["A/do", "A/do"]


@pytest.mark.parametrize("absent", [told("absent"), Reply(404, {})])
def test_what_never_arrived_is_sent_again(
    driver: Driver, service: HttpService, definition: Definition, absent: Reply
) -> None:
    service.plays("doA", LOST).plays("askA", absent)

    saga = drive(driver, make_saga(definition))

    assert saga.status == "completed"
    assert service.actions == ["doA", "askA", "doA", "doB"]


def test_a_definite_no_compensates(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("doA", LOST)
    service.plays("askA", told("failed", error={"code": "sold_out", "message": "Nothing left."}))

    saga = drive(driver, make_saga(definition))

    assert saga.status == "compensated"
    assert service.actions == ["doA", "askA"]
    assert saga.error_message == "Nothing left."


@pytest.mark.parametrize("answer", [told("unknown"), LOST, Reply(500, {}), Reply(200, {"x": 1})])
def test_where_nobody_knows_it_is_asked_so_often_and_then_undone(
    driver: Driver, service: HttpService, definition: Definition, answer: Reply
) -> None:
    service.plays("doA", LOST).plays("askA", *[answer] * 9)

    saga = drive(driver, make_saga(definition))

    assert saga.status == "compensated"
    assert service.actions == ["doA", *["askA"] * 5, "undoA"]


def test_a_probe_that_was_in_the_air_when_its_worker_died_is_asked_again(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("doA", LOST)
    saga = make_saga(definition)
    driver.drive()
    saga.refresh_from_db()
    # As if somebody had sent the probe and gone: nothing is recorded of it.
    Saga.objects.filter(pk=saga.pk).update(epoch=saga.epoch + 1)
    service.plays("askA", told("succeeded"))

    assert drive(driver, saga).status == "completed"


def test_a_local_callable_may_be_the_probe(driver: Driver) -> None:
    step = make_step("A", retry=QUICK, on_unknown=OnUnknown.PROBE, probe="askA")
    definition = store(step)
    asked = []
    local.register("Service", "askA", lambda call: asked.append(call) or {"outcome": "succeeded"})
    saga = make_saga(definition)
    unknown = {"status": "unknown", "order": 1, "attempt": 1, "in_doubt": True, "wake_at": 1.0}
    Saga.objects.filter(pk=saga.pk).update(state=saga.state | {"steps": [unknown]})

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert [call.action for call in asked] == ["askA"]
    saga.delete()
