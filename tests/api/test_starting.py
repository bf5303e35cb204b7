from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from sagas.models import Saga, SagaStart
from tests.api.builders import V1, error_of, make_client
from tests.builders import store

pytestmark = pytest.mark.django_db

SAGAS = f"{V1}/sagas/"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def body(**overrides: Any) -> dict[str, Any]:
    return {"definition": "test", "business_key": "order-1", "input": {"amount": 3}} | overrides


def test_a_start_creates_a_saga_and_says_where_it_is(api: APIClient) -> None:
    store()

    response = api.post(SAGAS, body())

    assert response.status_code == 201
    saga = Saga.objects.get()
    assert response.json() == {"id": str(saga.pk), "created": True}
    assert response["Location"] == f"http://testserver{SAGAS}{saga.pk}/"
    assert saga.business_key == "order-1"
    assert saga.start.input == {"amount": 3}


def test_the_same_idempotency_key_starts_one_saga(api: APIClient) -> None:
    store()

    first = api.post(SAGAS, body(), headers={"Idempotency-Key": "k1"})
    second = api.post(SAGAS, body(idempotency_key="k1"))

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == {"id": first.json()["id"], "created": False}
    assert Saga.objects.count() == 1


def test_a_key_that_started_something_else_is_a_conflict(api: APIClient) -> None:
    store()
    first = api.post(SAGAS, body(idempotency_key="k1"))

    second = api.post(SAGAS, body(idempotency_key="k1", input={"amount": 4}))

    assert error_of(second, 409) == "idempotency_conflict"
    assert second.json()["error"]["details"]["saga_id"] == first.json()["id"]


def test_two_different_keys_in_one_request_are_refused(api: APIClient) -> None:
    store()

    response = api.post(SAGAS, body(idempotency_key="k1"), headers={"Idempotency-Key": "k2"})

    assert error_of(response, 400) == "invalid_request"
    assert not Saga.objects.exists()


@pytest.mark.parametrize(("sent", "kept"), [(TRACEPARENT, TRACEPARENT), ("nonsense", "")])
def test_a_trace_context_is_passed_on_if_it_is_one(api: APIClient, sent: str, kept: str) -> None:
    store()

    api.post(SAGAS, body(), headers={"traceparent": sent})

    assert SagaStart.objects.get().traceparent == kept


def test_an_unknown_definition_is_not_found(api: APIClient) -> None:
    assert error_of(api.post(SAGAS, body()), 404) == "definition_not_found"


def test_a_version_that_is_not_stored_is_not_found(api: APIClient) -> None:
    store()

    assert error_of(api.post(SAGAS, body(version=7)), 404) == "definition_not_found"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"business_key": ""}, "business_key"),
        ({"business_key": "x" * 201}, "business_key"),
        ({"business_key": 7}, "business_key"),
        ({"business_key": None}, "business_key"),
        ({"version": "1"}, "version"),
        ({"version": 0}, "version"),
        ({"version": 10**12}, "version"),
        ({"busines_key": "typo"}, "busines_key"),
    ],
)
def test_a_body_that_does_not_pass_names_the_field(
    api: APIClient, change: dict[str, Any], field: str
) -> None:
    store()

    response = api.post(SAGAS, body(**change))

    assert error_of(response, 400) == "invalid_request"
    assert field in response.json()["error"]["details"]["fields"]


def test_an_input_that_is_too_large_is_refused(api: APIClient, settings: Any) -> None:
    store()
    settings.SAGAS_MAX_INPUT_BYTES = 100

    response = api.post(SAGAS, body(input="x" * 200))

    assert error_of(response, 400) == "invalid_input"


def test_starting_needs_its_permission(nobody: APIClient) -> None:
    store()

    response = nobody.post(SAGAS, body())

    assert error_of(response, 403) == "permission_denied"
    assert "sagas.start_saga" in response.json()["error"]["message"]
    assert make_client("sagas.start_saga").post(SAGAS, body()).status_code == 201


def test_bulk_starts_all_and_tells_the_outcome_of_each(api: APIClient) -> None:
    store()
    items = [{"business_key": f"o-{n}", "input": n, "idempotency_key": f"k{n}"} for n in range(3)]
    api.post(SAGAS, body(business_key="o-0", input=0, idempotency_key="k0"))
    api.post(SAGAS, body(business_key="o-1", input="other", idempotency_key="k1"))

    response = api.post(f"{SAGAS}bulk/", {"definition": "test", "sagas": items})

    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["outcome"] for result in results] == ["repeated", "conflict", "created"]
    assert [result["business_key"] for result in results] == ["o-0", "o-1", "o-2"]
    assert Saga.objects.count() == 3


def test_bulk_starts_nothing_when_one_item_cannot_be_read(api: APIClient) -> None:
    store()
    items = [{"business_key": "o-1"}, {"business_key": ""}]

    response = api.post(f"{SAGAS}bulk/", {"definition": "test", "sagas": items})

    assert error_of(response, 400) == "invalid_request"
    assert response.json()["error"]["message"].startswith("sagas.1.business_key: ")
    assert not Saga.objects.exists()


@pytest.mark.parametrize("count", [0, 1001])
def test_bulk_takes_one_to_a_thousand(api: APIClient, count: int) -> None:
    store()
    items = [{"business_key": f"o-{n}"} for n in range(count)]

    response = api.post(f"{SAGAS}bulk/", {"definition": "test", "sagas": items})

    assert error_of(response, 400) == "invalid_request"


def test_bulk_needs_the_permission_to_start(nobody: APIClient) -> None:
    assert error_of(nobody.post(f"{SAGAS}bulk/", {}), 403) == "permission_denied"
    assert error_of(nobody.get(f"{SAGAS}bulk/"), 405) == "method_not_allowed"


def test_a_start_may_wait_for_its_time(api: APIClient) -> None:
    store()
    sagas = [{"business_key": "order-2", "at": "2099-03-14T09:00:00+09:00"}]

    alone = api.post(SAGAS, body(at="2099-03-14T00:00:00Z"))
    bulk = api.post(f"{SAGAS}bulk/", {"definition": "test", "sagas": sagas})

    assert (alone.status_code, bulk.status_code) == (201, 200)
    at = datetime(2099, 3, 14, tzinfo=UTC)
    assert list(Saga.objects.values_list("due_at", flat=True)) == [at, at]


@pytest.mark.parametrize("at", ["2099-03-14T09:00:00", "tomorrow", 4_076_611_200, None, ""])
def test_a_time_that_could_mean_several_is_refused(api: APIClient, at: Any) -> None:
    store()

    response = api.post(SAGAS, body(at=at))

    assert error_of(response, 400) == "invalid_request"
    assert "at" in response.json()["error"]["details"]["fields"]
    assert not Saga.objects.exists()
