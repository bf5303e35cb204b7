"""Callers, sagas and letters for the tests of the API: defaults plus overrides."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Permission, User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from dlq.burying import Burial, bury
from dlq.models import DeadLetter
from sagas.engine.driver import Driver
from sagas.models import Saga
from tests.builders import Script, make_saga, make_step, no, store

V1 = "/api/v1"


def make_user(*permissions: str, name: str = "ann") -> User:
    user = User.objects.create_user(name)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return user


def make_client(*permissions: str, name: str = "ann") -> APIClient:
    """Return a client with the token of a user who has these permissions and no others."""
    token = Token.objects.create(user=make_user(*permissions, name=name))
    return APIClient(headers={"Authorization": f"Token {token.key}"})


def make_failed_saga(driver: Driver, *, key: str = "order-1") -> tuple[Saga, Script]:
    """Return a saga whose second step has failed for good, waiting for an operator."""
    definition = store(make_step("A"), make_step("B"), on_failure="park")
    script = Script(doB=[no("out of stock")]).register(definition)
    saga = make_saga(definition, key=key, input={"amount": 3})
    driver.drive()
    saga.refresh_from_db()
    assert saga.status == Saga.Status.FAILED
    return saga, script


def make_letter(**overrides: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "source": DeadLetter.Source.OUTBOX,
        "destination": "orders",
        "message_id": str(uuid4()),
        "reason": DeadLetter.Reason.ATTEMPTS_SPENT,
        "payload": {"n": 1},
        "attempts": [{"error_class": "ValueError", "message": "no"}],
        "type": "test.number",
        "key": "k",
    }
    [letter_id] = bury([Burial(**(fields | overrides))])
    return DeadLetter.objects.get(pk=letter_id)


def error_of(response: Any, status: int) -> str:
    """Return the code in the envelope of a refused request, after checking its shape."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message", "details"}
    assert body["error"]["message"]
    code: str = body["error"]["code"]
    return code
