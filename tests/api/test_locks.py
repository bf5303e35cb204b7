"""Locks that sagas hold, by the API."""

from __future__ import annotations

from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.models import Saga, SagaLock
from sagas.verbs import Order, perform
from tests.api.builders import V1, error_of, make_client
from tests.builders import Script
from tests.sagas.locking import begin, locked

pytestmark = pytest.mark.django_db

LOCKS = f"{V1}/locks/"


@pytest.fixture
def pair(driver: Driver) -> tuple[Saga, Saga]:
    """Return a saga that holds a lock, and one that waits for it."""
    definition = locked()
    Script().register(definition)
    sagas = begin(definition), begin(definition)
    driver.drive()
    return sagas


def release_path() -> str:
    return f"{LOCKS}{SagaLock.objects.get().pk}/release/"


def body(saga: Saga, **overrides: object) -> dict[str, object]:
    return {"saga": str(saga.pk), "reason": "the courier is stuck"} | overrides


def test_locks_are_listed_with_who_waits(api: APIClient, pair: tuple[Saga, Saga]) -> None:
    first, second = pair

    [row] = api.get(LOCKS).json()["results"]

    assert {name: row[name] for name in ("name", "saga", "saga_status", "step")} == {
        "name": "order:1",
        "saga": str(first.pk),
        "saga_status": "running",
        "step": "A",
    }
    assert [waiter["saga"] for waiter in row["waiters"]] == [str(second.pk)]


def test_locks_are_found_by_name_and_by_saga(api: APIClient, pair: tuple[Saga, Saga]) -> None:
    def found(**filters: object) -> int:
        return len(api.get(LOCKS, filters).json()["results"])

    assert (found(name="order:1"), found(name="order:2")) == (1, 0)
    assert (found(name_prefix="order:"), found(name_prefix="stock")) == (1, 0)
    assert (found(saga=pair[0].pk), found(saga=pair[1].pk)) == (1, 0)
    assert error_of(api.get(LOCKS, {"saga": "x"}), 400) == "invalid_request"


def test_a_lock_is_released_from_a_paused_saga_and_only_once(
    api: APIClient, pair: tuple[Saga, Saga]
) -> None:
    first, second = pair
    path = release_path()
    assert error_of(api.post(path, body(first)), 409) == "illegal_verb"
    perform(Verb.PAUSE, first.pk, Order(None, "because", str(uuid4())))

    assert error_of(api.post(path, body(first, reason=" ")), 400) == "invalid_request"
    assert api.post(path, body(first)).status_code == 204
    assert error_of(api.post(path, body(first)), 409) == "illegal_verb"

    assert SagaLock.objects.get().saga_id == second.pk


def test_a_lock_that_is_not_there_is_not_found(api: APIClient, pair: tuple[Saga, Saga]) -> None:
    assert error_of(api.post(f"{LOCKS}0/release/", body(pair[0])), 404) == "saga_lock_not_found"


def test_releasing_needs_its_permission(pair: tuple[Saga, Saga]) -> None:
    reader = make_client("sagas.view_sagalock")

    assert reader.get(LOCKS).status_code == 200
    assert reader.post(release_path(), body(pair[0])).status_code == 403
    assert make_client(name="nobody").get(LOCKS).status_code == 403
