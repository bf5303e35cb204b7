"""Lists of the API narrowed by search attributes."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from sagas.starting import start
from tests.api.builders import V1, error_of
from tests.builders import store

pytestmark = pytest.mark.django_db

SAGAS = f"{V1}/sagas/"


@pytest.fixture(autouse=True)
def _orders() -> None:
    store(name="order", search=(("orderId", "input.orderId"), ("city", "input.city")))
    for number, city in ((41, "Ulm"), (42, "Ulm"), (43, "New York")):
        start("order", {"orderId": number, "city": city}, business_key=f"o-{number}")


def keys(api: APIClient, params: dict[str, str]) -> list[str]:
    response = api.get(SAGAS, params)
    assert response.status_code == 200, response.content
    return [row["business_key"] for row in response.json()["results"]]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"search.orderId": "42"}, ["o-42"]),
        ({"search.city": "Ulm"}, ["o-42", "o-41"]),
        ({"search.city": "Ulm", "search.orderId": "41"}, ["o-41"]),
        ({"search.city": "Ulm", "status": "failed"}, []),
        ({"search.city": "Bonn"}, []),
        ({"search.city": "Ulm\x00"}, []),
    ],
)
def test_sagas_are_listed_by_attributes(
    api: APIClient, params: dict[str, str], expected: list[str]
) -> None:
    assert keys(api, params) == expected


def test_pages_of_a_search_are_followed_by_key(api: APIClient) -> None:
    first = api.get(SAGAS, {"search.city": "Ulm", "limit": 1}).json()
    second = api.get(first["next"]).json()

    found: list[Any] = first["results"] + second["results"]
    assert [row["business_key"] for row in found] == ["o-42", "o-41"]
    assert second["next"] is None


@pytest.mark.parametrize("name", ["search.customer", "search.", "search"])
def test_an_attribute_that_nobody_declares_is_refused(api: APIClient, name: str) -> None:
    assert error_of(api.get(SAGAS, {name: "1"}), 400) == "invalid_request"
