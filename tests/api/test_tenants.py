"""Tenants and priorities of sagas, as programs see them."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from sagas.models import Saga
from tests.api.builders import V1, error_of
from tests.builders import store

pytestmark = pytest.mark.django_db

SAGAS = f"{V1}/sagas/"


def body(**overrides: Any) -> dict[str, Any]:
    return {"definition": "test", "business_key": "order-1"} | overrides


def test_a_start_names_its_tenant_and_priority(api: APIClient) -> None:
    store()

    started = api.post(SAGAS, body(tenant="acme", priority="high")).json()

    shown = api.get(f"{SAGAS}{started['id']}/").json()
    assert (shown["tenant"], shown["priority"]) == ("acme", "high")


def test_without_them_the_definition_s_priority_counts(api: APIClient) -> None:
    store(priority=-10)

    started = api.post(SAGAS, body()).json()

    shown = api.get(f"{SAGAS}{started['id']}/").json()
    assert (shown["tenant"], shown["priority"]) == ("", "low")


@pytest.mark.parametrize(
    "wrong", [{"priority": "urgent"}, {"priority": 1}, {"tenant": "x" * 201}, {"tenant": 7}]
)
def test_what_is_neither_is_refused(api: APIClient, wrong: dict[str, Any]) -> None:
    store()

    assert error_of(api.post(SAGAS, body(**wrong)), 400) == "invalid_request"
    assert not Saga.objects.exists()


def test_each_saga_of_a_bulk_start_has_its_own(api: APIClient) -> None:
    store()

    api.post(
        f"{SAGAS}bulk/",
        {
            "definition": "test",
            "sagas": [
                {"business_key": "1", "tenant": "acme", "priority": "low"},
                {"business_key": "2", "tenant": "globex"},
            ],
        },
    )

    sagas = Saga.objects.select_related("start").order_by("business_key")
    assert [(saga.start.tenant, saga.priority) for saga in sagas] == [
        ("acme", "low"),
        ("globex", "normal"),
    ]


def test_the_list_can_be_narrowed_to_a_tenant(api: APIClient) -> None:
    store()
    for key, tenant in (("1", "acme"), ("2", "globex"), ("3", "acme")):
        api.post(SAGAS, body(business_key=key, tenant=tenant))

    rows = api.get(SAGAS, {"tenant": "acme"}).json()["results"]

    assert [row["business_key"] for row in rows] == ["3", "1"]
