from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from dlq.models import DeadLetter
from outbox.models import Delivery, Message
from outbox.publishing import publish
from tests.api.builders import V1, error_of, make_client, make_letter
from tests.outbox.builders import make_route

pytestmark = pytest.mark.django_db

DLQ = f"{V1}/dlq"


def make_dead_delivery(route_name: str = "orders") -> DeadLetter:
    """Return the letter of a message that its route could not take."""
    route = make_route(route_name)
    message_id = publish("test.number", "k", {"n": 1})
    letter = make_letter(destination=route_name, message_id=str(message_id))
    Delivery.objects.filter(route=route).update(status="dead", letter_id=letter.pk)
    return letter


def results(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    rows: list[dict[str, Any]] = response.json()["results"]
    return rows


def test_letters_are_listed_newest_first_without_their_payloads(api: APIClient) -> None:
    letters = [make_letter() for _ in range(3)]

    first = api.get(f"{DLQ}/", {"limit": 2})
    second = api.get(first.json()["next"])

    shown = [row["id"] for row in results(first) + results(second)]
    assert shown == [str(letter.pk) for letter in reversed(letters)]
    assert "payload" not in results(first)[0]


def test_letters_can_be_narrowed(api: APIClient) -> None:
    saga_id = uuid4()
    letter = make_letter(destination="orders")
    make_letter(source="reply", destination="Bank", reason="unknown_saga", saga_id=saga_id)

    def count(**params: Any) -> int:
        return len(results(api.get(f"{DLQ}/", params)))

    assert count() == count(status="open") == 2
    assert count(status="discarded") == 0
    assert count(destination="orders") == 1
    assert count(source="reply") == 1
    assert count(reason="unknown_saga") == 1
    assert count(fingerprint=letter.fingerprint) == 1
    assert count(saga_id=str(saga_id)) == 1
    assert count(created_before="2020-01-01T00:00:00Z") == 0


def test_the_list_costs_the_same_queries_however_long_it_is(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = make_client("dlq.view_deadletter")
    for _ in range(20):
        make_letter()

    with django_assert_max_num_queries(4):  # token, two of permissions, the list
        assert len(results(client.get(f"{DLQ}/"))) == 20


def test_a_letter_is_shown_with_its_payload_and_its_attempts(api: APIClient) -> None:
    letter = make_letter(
        attempts=[{"error_class": "Refused", "message": "first"}] * 2
        + [{"error_class": "Refused", "message": "last"}]
    )

    shown = api.get(f"{DLQ}/{letter.pk}/").json()

    assert shown["payload"] == {"n": 1}
    assert shown["attempts"] == 3
    assert [attempt["number"] for attempt in shown["history"]] == [1, 2, 3]
    assert shown["history"][-1]["error_message"] == shown["error_message"] == "last"


@pytest.mark.parametrize("slash", ["", "/"])
def test_reprocess_queues_the_message_again(api: APIClient, slash: str) -> None:
    letter = make_dead_delivery()

    response = api.post(f"{DLQ}/{letter.pk}/reprocess{slash}")

    assert response.status_code == 200
    assert response.json() == {"id": str(letter.pk), "outcome": "queued", "detail": ""}
    assert Delivery.objects.get().status == Delivery.Status.READY
    letter.refresh_from_db()
    assert letter.status == DeadLetter.Status.REPROCESSING


def test_reprocessing_a_letter_that_is_not_open_is_refused(api: APIClient) -> None:
    letter = make_dead_delivery()
    api.post(f"{DLQ}/{letter.pk}/reprocess/")

    response = api.post(f"{DLQ}/{letter.pk}/reprocess/")

    assert error_of(response, 409) == "letter_settled"
    assert response.json()["error"]["details"]["status"] == "reprocessing"


def test_the_same_request_again_does_nothing_twice(api: APIClient) -> None:
    letter = make_dead_delivery()

    api.post(f"{DLQ}/{letter.pk}/reprocess/", {"request_id": "r1"})
    response = api.post(f"{DLQ}/{letter.pk}/reprocess/", headers={"Idempotency-Key": "r1"})

    assert response.status_code == 200
    assert response.json()["outcome"] == "repeated"


def test_a_letter_that_has_changed_is_a_conflict(api: APIClient) -> None:
    letter = make_dead_delivery()

    for verb in ("reprocess", "discard"):
        response = api.post(f"{DLQ}/{letter.pk}/{verb}/", {"version": 9, "reason": "x"})
        assert error_of(response, 409) == "version_conflict"
    letter.refresh_from_db()
    assert letter.status == DeadLetter.Status.OPEN


def test_a_letter_whose_delivery_is_gone_fails_again(api: APIClient) -> None:
    letter = make_letter()

    response = api.post(f"{DLQ}/{letter.pk}/reprocess/", {"reason": "try"})

    assert response.json()["outcome"] == "failed"
    assert "not in the outbox any more" in response.json()["detail"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_reprocess_takes_a_destination_and_a_limit(api: APIClient, slash: str) -> None:
    first, second, other = (make_letter(destination=name) for name in ("a", "a", "b"))

    response = api.post(f"{DLQ}/reprocess{slash}", {"destination": "a", "limit": 1, "reason": "x"})

    assert response.status_code == 200
    assert response.json()["counts"] == {"failed": 1}
    assert [row["id"] for row in results(response)] == [str(first.pk)]
    versions = {row.pk: row.version for row in DeadLetter.objects.all()}
    assert versions[first.pk] > 1
    assert versions[second.pk] == versions[other.pk] == 1


def test_reprocess_of_ids_answers_for_each(api: APIClient) -> None:
    letter, gone = make_dead_delivery(), uuid4()

    response = api.post(f"{DLQ}/reprocess/", {"ids": [str(letter.pk), str(gone)]})

    outcomes = {row["id"]: row["outcome"] for row in results(response)}
    assert outcomes == {str(letter.pk): "queued", str(gone): "missing"}


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "ten"},
        {"destinaton": "orders"},
        {"ids": []},
        {"ids": ["x"]},
        {"destination": 7},
    ],
)
def test_a_batch_that_does_not_pass_is_refused(api: APIClient, body: dict[str, Any]) -> None:
    letter = make_letter()

    assert error_of(api.post(f"{DLQ}/reprocess/", body), 400) == "invalid_request"
    letter.refresh_from_db()
    assert letter.version == 1


def test_discard_takes_a_reason_and_settles_the_letter(api: APIClient) -> None:
    letter = make_dead_delivery()

    without = api.post(f"{DLQ}/{letter.pk}/discard/", {})
    done = api.post(f"{DLQ}/{letter.pk}/discard/", {"reason": "a test order", "version": 1})
    again = api.post(f"{DLQ}/{letter.pk}/discard/", {"reason": "a test order"})

    assert error_of(without, 400) == "invalid_request"
    assert done.json() == {"id": str(letter.pk), "outcome": "discarded", "detail": ""}
    assert error_of(again, 409) == "letter_settled"
    letter.refresh_from_db()
    assert (letter.status, letter.settled_by) == ("discarded", "root")
    assert Message.objects.exists()


def test_what_is_missing_is_not_found(api: APIClient) -> None:
    gone = f"{DLQ}/{uuid4()}"

    assert error_of(api.get(f"{gone}/"), 404) == "dead_letter_not_found"
    assert error_of(api.post(f"{gone}/reprocess/"), 404) == "dead_letter_not_found"
    response = api.post(f"{gone}/discard/", {"reason": "x"})
    assert error_of(response, 404) == "dead_letter_not_found"
    assert error_of(api.get(f"{gone}/discard/"), 405) == "method_not_allowed"


def test_each_verb_needs_its_own_permission(nobody: APIClient) -> None:
    letter = make_dead_delivery()
    reprocessor = make_client("dlq.reprocess_deadletter", name="reprocessor")
    discarder = make_client("dlq.discard_deadletter", name="discarder")
    discard = (f"{DLQ}/{letter.pk}/discard/", {"reason": "x"})

    assert error_of(nobody.get(f"{DLQ}/"), 403) == "permission_denied"
    assert error_of(discarder.post(f"{DLQ}/{letter.pk}/reprocess/"), 403) == "permission_denied"
    assert error_of(discarder.post(f"{DLQ}/reprocess/", {}), 403) == "permission_denied"
    assert error_of(reprocessor.post(*discard), 403) == "permission_denied"
    assert discarder.post(*discard).status_code == 200
