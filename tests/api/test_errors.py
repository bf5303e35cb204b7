"""Whatever goes wrong, programs read one shape."""

import json
import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from psycopg.errors import DeadlockDetected
from rest_framework.test import APIClient

from sagas.models import Saga
from tests.api.builders import V1, error_of
from tests.builders import store

pytestmark = pytest.mark.django_db

SAGAS = f"{V1}/sagas/"


def post_text(client: APIClient, text: str | bytes, content_type: str = "application/json") -> Any:
    return client.generic("POST", SAGAS, text, content_type=content_type)


def test_without_a_login_the_answer_says_how_to_log_in(client: Client) -> None:
    response = client.get(SAGAS)

    assert error_of(response, 401) == "not_authenticated"
    assert response["WWW-Authenticate"] == "Token"


def test_a_wrong_token_is_told_apart(client: Client) -> None:
    response = client.get(SAGAS, headers={"Authorization": "Token nonsense"})

    assert error_of(response, 401) == "authentication_failed"


def test_a_session_works_and_is_protected_against_forgery() -> None:
    root = User.objects.create_superuser("root")
    client = Client(enforce_csrf_checks=True)
    client.force_login(root)

    assert client.get(SAGAS).status_code == 200
    response = client.post(SAGAS, "{}", content_type="application/json")
    assert error_of(response, 403) == "permission_denied"


@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("address", ["/", "/nonsense/", "/sagas/1/", "/sagas/x/retry/"])
def test_an_unknown_address_is_not_found(client: Client, method: str, address: str) -> None:
    enforcing = Client(enforce_csrf_checks=True)

    response = getattr(enforcing, method)(f"{V1}{address}")

    assert error_of(response, 404) == "not_found"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
def test_a_method_that_an_address_lacks_is_refused(api: APIClient, method: str) -> None:
    response = api.generic(method, SAGAS)

    assert error_of(response, 405) == "method_not_allowed"
    assert response["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", "x", ""])
def test_a_body_of_another_type_is_refused(api: APIClient, content_type: str) -> None:
    response = post_text(api, "{}", content_type)

    assert error_of(response, 415) == "unsupported_media_type"


def test_only_json_is_answered(api: APIClient) -> None:
    assert error_of(api.get(SAGAS, headers={"Accept": "text/html"}), 406) == "not_acceptable"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nonsense",
        b"\xff\xfe{}",
        '{"definition": NaN}',
        '{"input": 1e999}',
        '{"input": ' + "9" * 5000 + "}",
        '{"input": "\\u0000"}',
        '{"input": {"\\u0000": 1}}',
        '{"input": "\\ud800"}',
        '{"input": ' + "[" * 65 + "]" * 65 + "}",
        "[" * 100_000,
        '{"a":' * 100_000,
    ],
)
def test_a_body_that_cannot_be_read_or_stored_is_refused(api: APIClient, text: str | bytes) -> None:
    store()
    code = error_of(post_text(api, text), 400)

    assert code == ("parse_error" if text else "invalid_request")


def test_a_backslash_is_no_escape_and_pairs_are_no_lone_surrogates(api: APIClient) -> None:
    store()
    body = {"definition": "test", "business_key": "\\ud800 \U0001f600", "input": {"a": "\\ud800"}}

    response = post_text(api, json.dumps(body))

    assert response.status_code == 201
    assert Saga.objects.get().business_key == "\\ud800 \U0001f600"


@pytest.mark.parametrize("text", ["[]", "null", "7", '"text"', "true"])
def test_json_of_another_type_is_refused(api: APIClient, text: str) -> None:
    assert error_of(post_text(api, text), 400) == "invalid_request"


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_huge_body_is_refused(api: APIClient, settings: Any, content_type: str) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000

    response = post_text(api, '{"input": "' + "x" * 1000 + '"}', content_type)

    assert response.status_code in (413, 415)
    assert error_of(response, response.status_code)


@pytest.mark.parametrize("error", [OperationalError, DeadlockDetected])
def test_a_database_that_is_away_is_no_fault_of_the_caller(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Whether Django's cursors tell of it, or psycopg's own, which the engine uses."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise error("connection refused at 10.0.0.7")

    monkeypatch.setattr("sagas.api.sagas.start", fail)

    response = api.post(SAGAS, {"definition": "test", "business_key": "k"})

    assert error_of(response, 503) == "database_away"
    assert response["Retry-After"] == "5"
    assert "10.0.0.7" not in response.content.decode()


def test_a_fault_of_ours_is_logged_and_tells_nothing_inside(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("secret inside")

    monkeypatch.setattr("sagas.api.sagas.start", fail)
    api.raise_request_exception = False

    with caplog.at_level(logging.ERROR):
        response = api.post(SAGAS, {"definition": "test", "business_key": "k"})

    assert error_of(response, 500) == "server_error"
    assert "secret" not in response.content.decode()
    assert "secret inside" in caplog.text
