"""Signed addresses for replies: who holds one may answer that call, and nothing else."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from dlq.models import DeadLetter
from sagas.callbacks import LIFETIME, callback_address, sign
from sagas.core.happenings import Accepted, Sent
from sagas.core.state import Direction
from sagas.engine.intervening import record_happening
from sagas.models import JournalEntry, Saga
from sagas.participants.calls import Call
from sagas.participants.protocol import ProtocolCall
from tests.api.builders import V1, error_of
from tests.builders import make_saga, store

pytestmark = pytest.mark.django_db


@pytest.fixture
def anyone() -> APIClient:
    """A client without any account."""
    return APIClient()


@pytest.fixture
def waiting() -> Saga:
    """A saga whose first step has been accepted and waits for its reply."""
    saga = make_saga(store())
    at = saga.created_at.timestamp()
    for happening in (Sent, Accepted):
        record_happening(saga, happening(at, 0, Direction.FORWARD, 1))
        saga.refresh_from_db()
    return saga


def address_of(saga: Saga, *, attempt: int = 1) -> str:
    return f"{V1}/replies/{sign(f'{saga.pk}/A/do', attempt)}/"


def reply(**overrides: Any) -> dict[str, Any]:
    return {"message_id": "m-1", "outcome": "succeeded", "output": {"seat": 7}} | overrides


def test_the_holder_of_the_address_needs_no_login(anyone: APIClient, waiting: Saga) -> None:
    first = anyone.post(address_of(waiting), reply())
    second = anyone.post(address_of(waiting), reply())

    assert (first.status_code, second.status_code) == (202, 202)
    assert (first.json(), second.json()) == ({"result": "recorded"}, {"result": "repeated"})
    entry = JournalEntry.objects.get(saga=waiting, kind="step_succeeded")
    assert (entry.step, entry.data["output"]) == ("A", {"seat": 7})


def test_the_reply_may_name_its_own_call(anyone: APIClient, waiting: Saga) -> None:
    body = reply(correlation_id=f"{waiting.pk}/A/do", attempt=1)

    assert anyone.post(address_of(waiting), body).json() == {"result": "recorded"}


@pytest.mark.parametrize(
    "other", [{"correlation_id": "{saga}/B/do"}, {"correlation_id": 7}, {"attempt": 2}]
)
def test_the_reply_to_another_call_is_refused(
    anyone: APIClient, waiting: Saga, other: dict[str, Any]
) -> None:
    before = JournalEntry.objects.count()

    response = anyone.post(address_of(waiting), reply(**other))

    assert error_of(response, 403) == "callback_refused"
    assert next(iter(other)) in response.json()["error"]["message"]
    assert JournalEntry.objects.count() == before


def test_an_address_that_was_changed_is_refused(anyone: APIClient, waiting: Saga) -> None:
    good = sign(f"{waiting.pk}/A/do", 1)
    forged = sign(f"{waiting.pk}/B/do", 1).split(":", 1)[0] + ":" + good.split(":", 1)[1]

    for token in (good[:-1], forged, "nonsense", "a:b:c"):
        response = anyone.post(f"{V1}/replies/{token}/", reply())
        assert error_of(response, 403) == "callback_refused"
    assert not JournalEntry.objects.filter(kind="step_succeeded").exists()


def test_an_address_expires(anyone: APIClient, waiting: Saga) -> None:
    with time_machine.travel(datetime.now(UTC) - LIFETIME - timedelta(minutes=1), tick=False):
        address = address_of(waiting)

    assert error_of(anyone.post(address, reply()), 403) == "callback_expired"


@pytest.mark.parametrize("body", [{"outcome": "maybe"}, [1], None])
def test_a_reply_that_cannot_be_read_is_buried_with_its_participant(
    anyone: APIClient, waiting: Saga, body: Any
) -> None:
    response = anyone.post(address_of(waiting), body, format="json")

    assert response.json() == {"result": "buried"}
    assert DeadLetter.objects.get().destination == "Service"


def test_only_posting_is_allowed(anyone: APIClient, waiting: Saga) -> None:
    assert error_of(anyone.get(address_of(waiting)), 405) == "method_not_allowed"


def make_call() -> Call:
    return Call(
        saga_id=uuid.UUID(int=7),
        business_key="order-1",
        definition="test",
        step="A",
        action="doA",
        direction=Direction.FORWARD,
        attempt=2,
        idempotency_key=f"{uuid.UUID(int=7)}/A/do",
        deadline=datetime.now(UTC),
        input={},
        outputs={},
    )


def test_a_call_carries_the_address_for_its_reply(anyone: APIClient, settings: Any) -> None:
    settings.SAGAS_PUBLIC_URL = "https://sagadesk.test"

    headers = ProtocolCall("http://127.0.0.1", make_call()).request().headers

    address = headers["Sagadesk-Callback"]
    assert address.startswith("https://sagadesk.test/api/v1/replies/")
    response = anyone.post(address.removeprefix("https://sagadesk.test"), reply())
    assert response.json() == {"result": "buried"}
    assert DeadLetter.objects.get().payload["correlation_id"] == make_call().idempotency_key


def test_without_a_public_address_there_is_no_callback(settings: Any) -> None:
    settings.SAGAS_PUBLIC_URL = ""

    assert callback_address(make_call()) is None
    assert "Sagadesk-Callback" not in ProtocolCall("http://x", make_call()).request().headers
