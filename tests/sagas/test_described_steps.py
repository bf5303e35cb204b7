"""Sagas whose participant is an existing API: described in its row, no adapter between."""

from __future__ import annotations

from typing import Any

import pytest

from sagas.core.definition import Definition, OnUnknown
from sagas.engine.driver import Driver
from sagas.models import Participant, Saga
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
from tests.sagas.http_service import LOST, HttpService, Reply

pytestmark = pytest.mark.django_db

SECRET = "SAGADESK_PARTICIPANT_SECRET_SERVICE__KEY"
API = {
    "headers": {"Authorization": f"Bearer ${{env:{SECRET}}}"},
    "actions": {
        "doA": {
            "path": "/v1/charges",
            "form": {"amount": "input.amount"},
            "output": "body.id",
            "probe": {"path": "/v1/charges/{idempotency_uuid}"},
        },
        "undoA": {"method": "DELETE", "path": "/v1/charges/{outputs.A}"},
        "doB": {"path": "/v1/mails/{input.mail}"},
        "undoB": {"path": "/v1/unmails"},
    },
}


@pytest.fixture(autouse=True)
def _secret(settings: Any) -> None:
    settings.SAGAS_SECRETS = {SECRET: "sk_test_1"}


@pytest.fixture
def definition(service: HttpService) -> Definition:
    """Two steps at the described API; the outcome of the first can be asked for."""
    make_participant(transport=Participant.Transport.HTTP, address=service.address, api=API)
    probed = {"on_unknown": OnUnknown.PROBE, "probe": "findA"}
    return store(make_step("A", retry=QUICK, **probed), make_step("B"))


def drive(driver: Driver, definition: Definition, input: Any) -> Saga:
    saga = make_saga(definition, input=input)
    driver.drive()
    saga.refresh_from_db()
    return saga


def calls(service: HttpService) -> list[tuple[str, str]]:
    return [(got.method, got.path) for got in service.requests]


def test_a_saga_calls_an_existing_api(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("charges", Reply(201, {"id": "ch/1"}))

    saga = drive(driver, definition, {"amount": 30, "mail": "ann@shop.test"})

    assert saga.status == "completed"
    assert calls(service) == [("POST", "/v1/charges"), ("POST", "/v1/mails/ann%40shop.test")]
    assert service.requests[0].body == "amount=30"
    assert service.requests[0].headers["Authorization"] == "Bearer sk_test_1"
    assert saga.state["steps"][0]["output"] == "ch/1"
    assert "sk_test_1" not in str(list(saga.journal.values("data")))


def test_a_call_that_cannot_be_mapped_undoes_the_saga(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("charges", Reply(201, {"id": "ch_1"}))

    saga = drive(driver, definition, {"amount": 30})

    assert saga.status == "compensated"
    assert saga.state["cause"] == {
        "step": "B",
        "class": "MappingFailed",
        "message": "actions.doB.path: the expression 'input.mail' gives nothing.",
    }
    assert calls(service) == [("POST", "/v1/charges"), ("DELETE", "/v1/charges/ch_1")]


def test_a_lost_answer_is_asked_for_by_the_probe_of_the_action(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("charges", LOST)
    saga = drive(driver, definition, {"amount": 30, "mail": "ann"})

    let_pass(saga, 60)
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert [method for method, _ in calls(service)] == ["POST", "GET", "POST"]
    assert "step_probed A" in journal_of(saga)
    assert saga.status == "completed"


@pytest.mark.parametrize("missing", ["action", "probe", "secret", "sense"])
def test_what_cannot_be_called_as_described_waits_and_spends_nothing(
    driver: Driver, service: HttpService, definition: Definition, settings: Any, missing: str
) -> None:
    api: Any = {"actions": {"doB": {"path": "/x"}}} if missing == "action" else dict(API)
    if missing == "secret":
        settings.SAGAS_SECRETS = {}
    if missing == "sense":
        api = {"actions": {"doA": {"path": "nowhere"}}}
    if missing == "probe":
        service.plays("charges", LOST)
        api = {"actions": API["actions"] | {"doA": {"path": "/v1/charges"}}}
    Participant.objects.update(api=api)

    saga = drive(driver, definition, {"amount": 30})

    assert saga.status == "running"
    assert len(service.requests) == (1 if missing == "probe" else 0)
    assert not any("failed" in entry for entry in journal_of(saga))
