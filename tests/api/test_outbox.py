from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from outbox.models import Delivery, Message
from outbox.publishing import publish
from tests.api.builders import V1, error_of, make_client
from tests.outbox.builders import make_route, publish_numbers

pytestmark = pytest.mark.django_db

OUTBOX = f"{V1}/outbox"


def results(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    rows: list[dict[str, Any]] = response.json()["results"]
    return rows


def test_messages_are_listed_newest_first_without_their_payloads(api: APIClient) -> None:
    publish_numbers(1, 2, 3)

    first = api.get(f"{OUTBOX}/messages/", {"limit": 2})
    second = api.get(first.json()["next"])

    assert len(results(first)) == 2
    assert len(results(second)) == 1
    assert results(first)[0]["type"] == "test.number"
    assert "payload" not in results(first)[0]


def test_messages_can_be_narrowed_to_a_saga(api: APIClient) -> None:
    saga_id = uuid4()
    publish("test.a", "k", {}, saga_id=saga_id)
    publish("test.b", "k", {})

    assert [row["type"] for row in results(api.get(f"{OUTBOX}/messages/?saga_id={saga_id}"))] == [
        "test.a"
    ]
    assert [row["type"] for row in results(api.get(f"{OUTBOX}/messages/?type=test.b"))] == [
        "test.b"
    ]


def test_a_message_is_shown_with_what_is_still_to_be_delivered(api: APIClient) -> None:
    make_route("orders")
    publish_numbers(7)
    message = Message.objects.get()

    shown = api.get(f"{OUTBOX}/messages/{message.pk}/").json()

    assert shown["payload"] == {"n": 7}
    assert [(row["route"], row["status"]) for row in shown["pending"]] == [("orders", "ready")]
    Delivery.objects.all().delete()
    assert api.get(f"{OUTBOX}/messages/{message.pk}/").json()["pending"] == []


def test_deliveries_can_be_narrowed(api: APIClient) -> None:
    make_route("orders")
    make_route("audit", types=["*"])
    publish_numbers(1, key="a")
    publish_numbers(2, key="b")
    message = str(Message.objects.order_by("pk")[0].pk)

    def count(**params: Any) -> int:
        return len(results(api.get(f"{OUTBOX}/deliveries/", params)))

    assert count() == 4
    assert count(route="orders") == 2
    assert count(route="orders", key="a") == 1
    assert count(status="ready") == 4
    assert count(status="waiting") == 0
    assert count(message=message) == 2


def test_lists_cost_the_same_queries_however_long_they_are(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = make_client("outbox.view_message", "outbox.view_delivery", "outbox.view_route")
    for name in ("a", "b", "c"):
        make_route(name)
    publish_numbers(*range(20))

    for name, count in (("messages", 20), ("deliveries", 50), ("routes", 4)):
        with django_assert_max_num_queries(4):  # token, two of permissions, the list
            assert len(results(client.get(f"{OUTBOX}/{name}/"))) >= count - 1


def test_a_route_is_paused_and_resumed(api: APIClient) -> None:
    make_route("orders")

    paused = api.post(f"{OUTBOX}/routes/orders/pause/", {"reason": "migration"})
    again = api.post(f"{OUTBOX}/routes/orders/pause/", {"reason": "twice"})

    assert paused.status_code == again.status_code == 200
    assert again.json()["pause_reason"] == "migration"
    assert api.get(f"{OUTBOX}/routes/orders/").json()["paused_by"] == "root"

    resumed = api.post(f"{OUTBOX}/routes/orders/resume/")

    assert resumed.json()["paused_at"] is None


def test_what_is_missing_is_not_found(api: APIClient) -> None:
    assert error_of(api.get(f"{OUTBOX}/messages/{uuid4()}/"), 404) == "message_not_found"
    assert error_of(api.get(f"{OUTBOX}/routes/orders/"), 404) == "route_not_found"
    response = api.post(f"{OUTBOX}/routes/orders/pause/", {"reason": "x"})
    assert error_of(response, 404) == "route_not_found"


def test_each_list_needs_its_permission(nobody: APIClient) -> None:
    for name in ("messages", "deliveries", "routes"):
        assert error_of(nobody.get(f"{OUTBOX}/{name}/"), 403) == "permission_denied"
        assert error_of(nobody.post(f"{OUTBOX}/{name}/", {}), 405) == "method_not_allowed"


def test_pausing_a_route_needs_more_than_viewing() -> None:
    make_route("orders")
    client = make_client("outbox.view_route")

    for verb in ("pause", "resume"):
        response = client.post(f"{OUTBOX}/routes/orders/{verb}/", {"reason": "x"})
        assert error_of(response, 403) == "permission_denied"


def test_what_is_missing_is_named_alike_in_every_language(api: APIClient) -> None:
    """Programs compare the code; the names of models speak the reader's language."""
    response = api.get("/api/v1/outbox/routes/none/", headers={"accept-language": "ko"})

    assert error_of(response, 404) == "route_not_found"
