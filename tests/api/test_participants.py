from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from rest_framework.test import APIClient

from dlq.models import DeadLetter
from sagas.core.happenings import Accepted, Sent
from sagas.core.state import Direction
from sagas.engine.intervening import record_happening
from sagas.models import JournalEntry, Participant
from sagas.participants.breaker import BreakerRules
from sagas.participants.figures import Figures
from sagas.participants.limits import Policy
from tests.api.builders import V1, error_of, make_client
from tests.builders import make_saga, store
from tests.sagas.limiting import Together

pytestmark = pytest.mark.django_db

PARTICIPANTS = f"{V1}/participants/"
REPLIES = f"{V1}/replies/"


def make_participant(name: str = "Bank", **overrides: Any) -> Participant:
    fields = {"transport": "http", "address": f"http://127.0.0.1:9101/{name}"}
    return Participant.objects.create(name=name, **(fields | overrides))


def test_participants_are_listed_by_name(api: APIClient) -> None:
    for name in ("Stock", "Bank", "Courier"):
        make_participant(name)

    first = api.get(PARTICIPANTS, {"limit": 2})
    second = api.get(first.json()["next"])

    assert [row["name"] for row in first.json()["results"]] == ["Bank", "Courier"]
    assert [row["name"] for row in second.json()["results"]] == ["Stock"]


def test_a_description_names_its_secrets_and_never_shows_them(
    api: APIClient, settings: Any
) -> None:
    settings.SAGAS_SECRETS = {"SAGADESK_PARTICIPANT_SECRET_BANK__KEY": "sk_live_1"}
    headers = {"Authorization": "${env:SAGADESK_PARTICIPANT_SECRET_BANK__KEY}"}
    make_participant(api={"actions": {"pay": {"path": "/pay", "headers": headers}}})

    response = api.get(f"{PARTICIPANTS}Bank/")

    assert response.json()["api"]["actions"]["pay"]["headers"] == headers
    assert b"sk_live_1" not in response.content


def test_a_participant_is_paused_and_resumed(api: APIClient) -> None:
    bank = make_participant()

    paused = api.post(f"{PARTICIPANTS}Bank/pause/", {"reason": "maintenance"})
    again = api.post(f"{PARTICIPANTS}Bank/pause/", {"reason": "twice"})

    assert paused.status_code == again.status_code == 200
    assert again.json()["pause_reason"] == "maintenance"
    assert again.json()["paused_by"] == "root"
    assert [row["name"] for row in api.get(PARTICIPANTS, {"paused": "true"}).json()["results"]] == [
        "Bank"
    ]

    resumed = api.post(f"{PARTICIPANTS}Bank/resume/")

    assert resumed.json()["paused_at"] is None
    bank.refresh_from_db()
    assert bank.paused_at is None
    assert LogEntry.objects.count() == 2


def test_a_pause_needs_a_reason(api: APIClient) -> None:
    make_participant()

    for body in ({}, {"reason": " "}, {"reason": None}):
        response = api.post(f"{PARTICIPANTS}Bank/pause/", body)
        assert error_of(response, 400) == "invalid_request"
    assert not Participant.objects.filter(paused_at__isnull=False).exists()


def test_a_missing_participant_is_not_found(api: APIClient) -> None:
    body = {"reason": "maintenance"}

    assert error_of(api.get(f"{PARTICIPANTS}Bank/"), 404) == "participant_not_found"
    assert error_of(api.post(f"{PARTICIPANTS}Bank/pause/", body), 404) == "participant_not_found"
    assert error_of(api.get(f"{PARTICIPANTS}Bank/pause/"), 405) == "method_not_allowed"


def test_pausing_needs_more_than_viewing() -> None:
    make_participant()
    client = make_client("sagas.view_participant")

    assert client.get(f"{PARTICIPANTS}Bank/").json()["name"] == "Bank"
    for verb in ("pause", "resume"):
        response = client.post(f"{PARTICIPANTS}Bank/{verb}/", {"reason": "x"})
        assert error_of(response, 403) == "permission_denied"


def reply(saga_id: object, **overrides: Any) -> dict[str, Any]:
    fields = {
        "message_id": "m-1",
        "correlation_id": f"{saga_id}/A/do",
        "attempt": 1,
        "outcome": "succeeded",
        "output": {"seat": 7},
    }
    return fields | overrides


def test_a_reply_is_recorded_once(api: APIClient) -> None:
    saga = make_saga(store())
    at = saga.created_at.timestamp()
    record_happening(saga, Sent(at, 0, Direction.FORWARD, 1))
    saga.refresh_from_db()
    record_happening(saga, Accepted(at, 0, Direction.FORWARD, 1))

    first = api.post(REPLIES, reply(saga.pk))
    second = api.post(REPLIES, reply(saga.pk))

    assert (first.status_code, second.status_code) == (202, 202)
    assert (first.json(), second.json()) == ({"result": "recorded"}, {"result": "repeated"})
    assert JournalEntry.objects.filter(saga=saga, kind="step_succeeded").count() == 1


@pytest.mark.parametrize(
    "body", [reply(uuid4()), {"outcome": "succeeded"}, [1, 2], "text", None, 7]
)
def test_a_reply_that_nobody_waits_for_is_buried(body: Any) -> None:
    client = make_client("sagas.reply_saga", name="bank")

    response = client.post(REPLIES, body, format="json")

    assert response.status_code == 202
    assert response.json() == {"result": "buried"}
    assert DeadLetter.objects.get().destination == "bank"


def test_replies_need_their_permission(nobody: APIClient) -> None:
    assert error_of(nobody.post(REPLIES, {}), 403) == "permission_denied"
    assert error_of(nobody.get(REPLIES), 405) == "method_not_allowed"


LIMITS = {"max_concurrency": 8, "max_rate": 2.5, "breaker_failures": None, "breaker_open_s": 60}


def test_limits_are_changed_and_what_is_not_named_stays(api: APIClient) -> None:
    bank = make_participant()

    changed = api.patch(f"{PARTICIPANTS}Bank/", {"reason": "they asked", **LIMITS})
    again = api.patch(f"{PARTICIPANTS}Bank/", {"reason": "they asked", **LIMITS})

    assert changed.status_code == again.status_code == 200
    assert {name: changed.json()[name] for name in LIMITS} == LIMITS
    assert changed.json()["breaker_ratio"] == 50
    bank.refresh_from_db()
    assert (bank.max_concurrency, bank.breaker_window_s) == (8, 30)
    [entry] = LogEntry.objects.all()
    assert "max_concurrency None → 8" in entry.change_message
    assert "they asked" in entry.change_message


@pytest.mark.parametrize(
    "body",
    [
        {"max_concurrency": 0},
        {"max_concurrency": "8"},
        {"max_rate": 0},
        {"max_rate": True},
        {"max_rate": "5"},
        {"breaker_failures": 0},
        {"breaker_ratio": 101},
        {"breaker_open_s": None},
        {"breaker_window_s": 0},
        {"name": "Other"},
        {"reason": " "},
    ],
)
def test_what_is_no_limit_is_refused(api: APIClient, body: dict[str, Any]) -> None:
    make_participant()

    response = api.patch(f"{PARTICIPANTS}Bank/", {"reason": "they asked"} | body)

    assert error_of(response, 400) == "invalid_request"
    assert not LogEntry.objects.exists()


def test_only_http_participants_are_limited(api: APIClient) -> None:
    make_participant(transport="local", address="")

    response = api.patch(f"{PARTICIPANTS}Bank/", {"reason": "x", "max_concurrency": 8})

    assert error_of(response, 400) == "invalid_request"
    assert "Only HTTP participants can be limited." in response.json()["error"]["message"]


def test_a_breaker_is_closed_by_hand(api: APIClient) -> None:
    bank = make_participant()

    response = api.post(f"{PARTICIPANTS}Bank/close-breaker/", {"reason": "it is back"})

    assert response.status_code == 200
    assert response.json()["condition"]["breaker"] == "closed"
    bank.refresh_from_db()
    assert bank.breaker_reset_at is not None
    assert "it is back" in LogEntry.objects.get().change_message


def test_limits_need_their_own_permission() -> None:
    make_participant()
    client = make_client("sagas.view_participant", "sagas.pause_participant")
    body = {"reason": "x", "max_rate": 1}

    assert error_of(client.patch(f"{PARTICIPANTS}Bank/", body), 403) == "permission_denied"
    closing = client.post(f"{PARTICIPANTS}Bank/close-breaker/", {"reason": "x"})
    assert error_of(closing, 403) == "permission_denied"
    assert (
        make_client("sagas.limit_participant", name="lead")
        .patch(f"{PARTICIPANTS}Bank/", body)
        .json()["max_rate"]
        == 1
    )


def test_the_condition_of_participants_is_shown(api: APIClient) -> None:
    make_participant()
    make_participant("Stock")
    counted = Figures()
    counted.count("Bank", 0.2, True)
    counted.hand_in()
    Together().tell(Policy(breaker=BreakerRules(failures=1)), in_air=2, outages=1, streak=1)

    bank, stock = (row["condition"] for row in api.get(PARTICIPANTS).json()["results"])

    assert (bank["breaker"], bank["in_flight"], bank["outage_share"]) == ("open", 2, 1.0)
    assert bank["since"]
    assert 0.1 < bank["p50_s"] < 0.3
    assert (stock["breaker"], stock["in_flight"], stock["p50_s"]) == ("closed", 0, None)
