from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from sagas import catalogue
from sagas.engine.driver import Driver
from sagas.models import Saga
from sagas.starting import Start, start_many
from tests.api.builders import V1, error_of, make_client, make_failed_saga
from tests.builders import Script, make_saga, store

pytestmark = pytest.mark.django_db

SAGAS = f"{V1}/sagas/"


def keys(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["business_key"] for row in response.json()["results"]]


def make_sagas(count: int) -> None:
    store()
    start_many("test", [Start(f"o-{n}", {}) for n in range(count)])


def test_the_list_shows_the_newest_first_and_pages_by_key(api: APIClient) -> None:
    make_sagas(5)

    first = api.get(SAGAS, {"limit": 2})
    second = api.get(first.json()["next"])
    third = api.get(second.json()["next"])

    assert keys(first) + keys(second) + keys(third) == ["o-4", "o-3", "o-2", "o-1", "o-0"]
    assert third.json()["next"] is None
    assert keys(api.get(second.json()["previous"])) == ["o-4", "o-3"]
    assert "count" not in first.json()


def test_a_list_costs_the_same_queries_however_long_it_is(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = make_client("sagas.view_saga")
    make_sagas(30)

    with django_assert_max_num_queries(4):  # token, two of permissions, the list
        assert len(keys(client.get(SAGAS))) == 30


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"status": "failed"}, ["bad"]),
        ({"status": "running"}, ["ok-2", "ok-1"]),
        ({"definition": "test"}, ["ok-2", "ok-1", "bad"]),
        ({"definition": "other"}, []),
        ({"version": 1}, ["bad"]),
        ({"definition": "test", "version": 2}, ["ok-2", "ok-1"]),
        ({"business_key": "ok-1"}, ["ok-1"]),
        ({"business_key_prefix": "ok"}, ["ok-2", "ok-1"]),
        ({"failed_step": "B"}, ["bad"]),
        ({"paused": "true"}, []),
        ({"paused": "false", "status": "failed"}, ["bad"]),
        ({"created_after": "2020-01-01T00:00:00Z"}, ["ok-2", "ok-1", "bad"]),
        ({"created_before": "2020-01-01T00:00:00Z"}, []),
        ({"created_after": "0001-01-01T00:00:00Z", "status": "failed"}, ["bad"]),
    ],
)
def test_the_list_can_be_narrowed(
    api: APIClient, driver: Driver, params: dict[str, Any], expected: list[str]
) -> None:
    make_failed_saga(driver, key="bad")
    definition = store()
    catalogue.forget_compiled()  # the version that was the newest a moment ago
    for key in ("ok-1", "ok-2"):
        make_saga(definition, key=key)

    assert keys(api.get(SAGAS, params)) == expected


def test_the_list_can_be_narrowed_to_one_kind_of_error(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    assert keys(api.get(SAGAS, {"fingerprint": saga.fingerprint})) == ["order-1"]
    assert keys(api.get(SAGAS, {"fingerprint": "other"})) == []


@pytest.mark.parametrize(
    "params",
    [
        {"statsu": "failed"},
        {"status": "nonsense"},
        {"status": ["failed", "running"]},
        {"version": "1e9"},
        {"version": 10**12},
        {"paused": "maybe"},
        {"created_after": "yesterday"},
        {"business_key": "a\x00b"},
        {"limit": 0},
        {"limit": 201},
        {"limit": "ten"},
        {"cursor": "cD1ub25zZW5zZQ=="},  # p=nonsense
        {"cursor": "cD0lMDA="},  # p=NUL
    ],
)
def test_parameters_that_mean_nothing_are_refused(api: APIClient, params: dict[str, Any]) -> None:
    response = api.get(SAGAS, params)

    assert error_of(response, 400) == "invalid_request"
    assert response.json()["error"]["details"]["fields"].keys() == params.keys()


def test_reading_needs_the_permission_to_view(nobody: APIClient) -> None:
    assert error_of(nobody.get(SAGAS), 403) == "permission_denied"
    assert error_of(nobody.get(f"{SAGAS}{uuid4()}/"), 403) == "permission_denied"


def test_the_detail_has_everything_about_one_saga(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    response = api.get(f"{SAGAS}{saga.pk}/")

    shown = response.json()
    assert response["ETag"] == f'"{saga.version}"'
    assert shown["status"] == "failed"
    assert shown["definition"] == "test"
    assert shown["version"] == saga.version
    assert shown["input"] == {"amount": 3}
    assert shown["outputs"] == {"A": {"did": "doA"}}
    assert shown["cause"]["step"] == "B"
    assert shown["cause"]["message"] == "out of stock"
    assert {"retry", "compensate", "mark_done", "skip", "abandon"} <= set(shown["verbs"])
    assert [entry["kind"] for entry in shown["journal"]] == [
        "saga_started",
        "step_succeeded",
        "step_failed",
        "saga_failed",
    ]
    step = shown["steps"][1]
    assert step["name"] == "B"
    assert step["participant"] == "Service"
    assert step["action"] == "doB"
    assert step["compensation"] == "undoB"
    assert step["status"] == "failed"
    assert step["attempts"] == 1
    assert step["output"] is None
    assert step["error"]["message"] == "out of stock"


def test_the_detail_costs_few_queries(
    driver: Driver, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    saga, _script = make_failed_saga(driver)
    client = make_client("sagas.view_saga")

    with django_assert_max_num_queries(5):  # token, two of permissions, the saga, its journal
        client.get(f"{SAGAS}{saga.pk}/")


def test_a_missing_saga_is_not_found(api: APIClient) -> None:
    for address in (f"{uuid4()}/", f"{uuid4()}/journal/", f"{uuid4()}/plan/?verb=retry"):
        assert error_of(api.get(SAGAS + address), 404) == "saga_not_found"
    assert error_of(api.get(f"{SAGAS}not-a-uuid/"), 404) == "not_found"


def test_the_journal_is_paged_newest_first(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    first = api.get(f"{SAGAS}{saga.pk}/journal/", {"limit": 3})
    second = api.get(first.json()["next"])

    assert [entry["seq"] for entry in first.json()["results"]] == [4, 3, 2]
    assert [entry["seq"] for entry in second.json()["results"]] == [1]
    assert first.json()["results"][1]["data"]["error"]["message"] == "out of stock"


def test_a_journal_has_no_filters(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    response = api.get(f"{SAGAS}{saga.pk}/journal/", {"kind": "step_failed"})

    assert error_of(response, 400) == "invalid_request"


def test_the_plan_lists_the_calls_that_a_verb_would_make(api: APIClient, driver: Driver) -> None:
    saga, script = make_failed_saga(driver)

    shown = api.get(f"{SAGAS}{saga.pk}/plan/", {"verb": "compensate"}).json()

    assert shown["legal"] is True
    assert [call["action"] for call in shown["calls"]] == ["undoA"]
    assert shown["calls"][0]["direction"] == "backward"
    assert script.actions == ["doA", "doB"]


def test_the_plan_of_an_illegal_verb_says_why_not(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    shown = api.get(f"{SAGAS}{saga.pk}/plan/", {"verb": "cancel"}).json()

    assert (shown["legal"], shown["calls"]) == (False, [])
    assert shown["why_not"] == "Only a running saga can be cancelled; this one is failed."


@pytest.mark.parametrize("query", ["", "?verb=explode"])
def test_a_plan_needs_a_verb(api: APIClient, query: str) -> None:
    store()
    saga = make_saga(store())

    response = api.get(f"{SAGAS}{saga.pk}/plan/{query}")

    assert error_of(response, 400) == "invalid_request"


def test_times_are_told_in_utc(api: APIClient, driver: Driver) -> None:
    definition = store()
    Script().register(definition)
    make_saga(definition)
    driver.drive()

    [shown] = api.get(SAGAS).json()["results"]

    assert datetime.fromisoformat(shown["created_at"]).tzinfo == UTC
    assert shown["due_at"] is None
    assert Saga.objects.get().status == shown["status"] == "completed"
