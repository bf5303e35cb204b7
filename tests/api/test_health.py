from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config.heartbeat import Pulse

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/health/"


@pytest.fixture
def probe(client: Client, settings: Any) -> Client:
    """A probe that reaches the middleware first."""
    settings.MIDDLEWARE = ["config.api.health.answer_probes", *settings.MIDDLEWARE]
    return client


@pytest.mark.parametrize("address", [ADDRESS, ADDRESS.rstrip("/")])
def test_health_needs_no_login(client: Client, address: str) -> None:
    response = client.get(address)

    assert response.status_code == 200
    health = response.json()
    assert (health["status"], health["database"], health["redis"]) == ("ok", "up", "up")


def test_health_is_one_query(client: Client) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        client.get(ADDRESS)

    assert len(queries) == 1


def test_a_database_that_is_away_is_unhealthy(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OperationalError("away")

    monkeypatch.setattr("config.api.health.connection.cursor", fail)

    response = client.get(ADDRESS)

    assert response.status_code == 503
    assert response.json()["database"] == "down"


def test_redis_that_is_away_only_degrades(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.api.health.read_pulse", lambda: Pulse(redis_is_up=False))

    response = client.get(ADDRESS)

    assert response.status_code == 200
    assert (response.json()["status"], response.json()["redis"]) == ("degraded", "down")


def test_a_probe_may_come_with_any_host(probe: Client) -> None:
    response = probe.get(ADDRESS, headers={"Host": "10.0.0.7:8000"})

    assert response.status_code == 200
    assert response.json()["status"] == "ok"


def test_the_other_addresses_still_check_the_host(probe: Client) -> None:
    assert probe.get("/api/v1/schema/", headers={"Host": "10.0.0.7"}).status_code == 400


def test_health_can_only_be_read(probe: Client) -> None:
    assert probe.post(ADDRESS).status_code == 405
    assert probe.head(ADDRESS).status_code == 200
