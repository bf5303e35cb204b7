from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from outbox.paging import first_id_at, read_page
from sagas.models import Saga
from tests.console.builders import keys_on, make_saga, words


def test_newest_saga_comes_first(admin: Client) -> None:
    make_saga(business_key="old")
    make_saga(business_key="new")

    assert keys_on(admin.get("/sagas/")) == ["new", "old"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("status=failed", ["gone-wrong"]),
        ("status=running", ["on-its-way"]),
        ("status=nonsense", ["gone-wrong", "on-its-way"]),
        ("q=gone", ["gone-wrong"]),
        ("q=one", []),
        ("definition=test", ["gone-wrong", "on-its-way"]),
        ("definition=test&version=2", []),
        ("definition=other", []),
        ("step=B", ["gone-wrong"]),
        ("fingerprint=f1", ["gone-wrong"]),
        ("fingerprint=f2", []),
        ("paused=1", []),
        ("age=1h", ["gone-wrong", "on-its-way"]),
        ("age=-1h", []),
        ("status=failed&q=on", []),
        ("q=%00", ["gone-wrong", "on-its-way"]),
        ("before=nonsense", ["gone-wrong", "on-its-way"]),
    ],
)
def test_filters_in_the_address_narrow_the_list(
    admin: Client, filters: str, found: list[str]
) -> None:
    make_saga("running", business_key="on-its-way")
    make_saga("failed", business_key="gone-wrong")

    assert keys_on(admin.get(f"/sagas/?{filters}")) == found


def test_retrying_shows_what_moves_although_attempts_failed(admin: Client) -> None:
    make_saga("running", business_key="smooth")
    saga = make_saga("running", business_key="rough")
    saga.state["steps"][1] = {"status": "failed", "failing_since": 1.0, "wake_at": 2.0}
    saga.save(update_fields=["state"])
    make_saga("failed", business_key="stopped")

    assert keys_on(admin.get("/sagas/?retrying=1")) == ["rough"]


def test_age_is_that_of_the_start(admin: Client) -> None:
    make_saga(business_key="new")
    make_saga(business_key="old", id=first_id_at(timezone.now() - timedelta(hours=2)))

    assert keys_on(admin.get("/sagas/?age=1h")) == ["new"]
    assert keys_on(admin.get("/sagas/?age=-1h")) == ["old"]


def test_searching_for_an_id_opens_the_saga(admin: Client) -> None:
    saga = make_saga()

    response = admin.get("/sagas/", {"q": str(saga.pk)})

    assert response["Location"] == f"/sagas/{saga.pk}/"


def test_pages_are_followed_by_key_and_lead_back(admin: Client) -> None:
    for n in range(120):
        make_saga("completed", business_key=f"order-{n:03}")

    first = admin.get("/sagas/")
    second = admin.get("/sagas/", {"before": first.context["page"].older})
    third = admin.get("/sagas/", {"before": second.context["page"].older})
    back = admin.get("/sagas/", {"after": third.context["page"].newer})

    assert keys_on(first)[0] == "order-119"
    assert keys_on(second)[0] == "order-069"
    assert keys_on(third) == [f"order-{n:03}" for n in range(19, -1, -1)]
    assert third.context["page"].older == ""
    assert keys_on(back) == keys_on(second)


def test_page_stays_put_while_new_sagas_arrive(admin: Client) -> None:
    for n in range(60):
        make_saga("completed", business_key=f"order-{n}")
    address = {"before": admin.get("/sagas/").context["page"].older}
    before = keys_on(admin.get("/sagas/", address))
    make_saga("completed", business_key="late")

    assert keys_on(admin.get("/sagas/", address)) == before


def test_going_back_to_the_top_shows_the_whole_first_page(db: None) -> None:
    sagas = [make_saga("completed", business_key=str(n)) for n in range(7)]

    page = read_page(Saga.objects.all(), {"after": str(sagas[4].pk)}, size=5)

    assert [saga.business_key for saga in page.rows] == ["6", "5", "4", "3", "2"]
    assert page.is_first


def test_empty_list_says_how_to_get_a_saga(admin: Client) -> None:
    assert "No saga has been started yet" in words(admin.get("/sagas/"))
    assert "No saga matches" in words(admin.get("/sagas/?status=failed"))
