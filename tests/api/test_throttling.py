from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from outbox.api import throttling

pytestmark = pytest.mark.django_db

# In the middle of a minute.
AT = 1_700_000_010.0


def at(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "time", SimpleNamespace(time=lambda: seconds))


@pytest.fixture(autouse=True)
def _a_fresh_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    at(AT, monkeypatch)


@pytest.fixture
def slow(settings: Any) -> None:
    settings.API_RATE = settings.API_ANONYMOUS_RATE = 2


@pytest.mark.usefixtures("slow")
def test_who_asks_too_often_is_told_when_to_come_back(api: APIClient) -> None:
    codes = [api.get("/api/v1/sagas/").status_code for _ in range(3)]
    refused = api.get("/api/v1/definitions/")

    assert codes == [200, 200, 429]
    assert refused.json()["error"]["code"] == "throttled"
    assert refused["Retry-After"] == "30"


@pytest.mark.usefixtures("slow")
def test_the_next_minute_begins_anew(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        api.get("/api/v1/sagas/")

    at(AT + 60, monkeypatch)

    assert api.get("/api/v1/sagas/").status_code == 200


@pytest.mark.usefixtures("slow")
def test_every_account_has_a_limit_of_its_own(api: APIClient) -> None:
    for _ in range(3):
        api.get("/api/v1/sagas/")

    other = User.objects.create_superuser("other")
    token = Token.objects.create(user=other).key
    second = APIClient(headers={"Authorization": f"Token {token}"})

    assert second.get("/api/v1/sagas/").status_code == 200


@pytest.mark.usefixtures("slow")
def test_callers_without_an_account_are_counted_by_address(client: Client) -> None:
    for n in range(2):
        # What the caller says of itself does not count.
        client.get("/api/v1/schema/", headers={"X-Forwarded-For": f"10.0.0.{n}"})

    assert client.get("/api/v1/schema/").status_code == 429
    assert client.get("/api/v1/schema/", REMOTE_ADDR="10.1.1.1").status_code == 200


@pytest.mark.usefixtures("slow")
def test_replies_and_health_are_not_counted(api: APIClient, client: Client) -> None:
    replies = [api.post("/api/v1/replies/", {"message_id": "m"}).status_code for _ in range(4)]
    health = [client.get("/api/v1/health/").status_code for _ in range(4)]

    assert 429 not in replies + health


def test_nothing_is_counted_without_a_limit(api: APIClient, settings: Any) -> None:
    settings.API_RATE = 0

    assert {api.get("/api/v1/sagas/").status_code for _ in range(3)} == {200}


@pytest.mark.usefixtures("slow")
def test_nobody_is_refused_while_redis_is_down(api: APIClient, settings: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"

        assert {api.get("/api/v1/sagas/").status_code for _ in range(4)} == {200}
