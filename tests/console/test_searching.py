"""Search attributes in the list of sagas and on their pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from sagas.starting import start
from tests.builders import store

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _orders() -> None:
    store(name="order", search=(("orderId", "input.orderId"), ("city", "input.city")))
    for number, city in ((41, "Ulm"), (42, "Ulm"), (43, "New York")):
        start("order", {"orderId": number, "city": city}, business_key=f"o-{number}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("orderId:42", ["o-42"]),
        ("city:Ulm", ["o-42", "o-41"]),
        ('city:"New York" orderId:43', ["o-43"]),
        ("customer:42", []),
        ("o-4", ["o-43", "o-42", "o-41"]),
    ],
)
def test_the_search_box_takes_attributes(admin: Client, words: str, expected: list[str]) -> None:
    response = admin.get("/sagas/", {"q": words})

    assert [saga.business_key for saga in response.context["page"].rows] == expected


def test_every_attribute_is_a_chip_that_can_be_taken_away(admin: Client) -> None:
    chips = admin.get("/sagas/", {"q": 'city:"New York" orderId:43'}).context["chips"]

    assert [(chip.label, chip.value) for chip in chips] == [("city", "New York"), ("orderId", "43")]
    assert "43" in chips[0].address
    assert "New" not in chips[0].address


def test_the_page_of_a_saga_names_its_attributes(admin: Client) -> None:
    saga = admin.get("/sagas/?q=o-43").context["page"].rows[0]

    assert "<code>New York</code>" in admin.get(f"/sagas/{saga.pk}/").content.decode()


def test_a_search_stays_under_the_query_ceiling(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    admin.get("/sagas/")

    with django_assert_max_num_queries(14):
        admin.get("/sagas/?q=orderId:42")
