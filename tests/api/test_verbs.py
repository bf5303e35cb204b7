from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from rest_framework.test import APIClient

from sagas.engine.driver import Driver
from sagas.models import JournalEntry, Saga
from sagas.verbs import PERMISSIONS
from tests.api.builders import V1, error_of, make_client, make_failed_saga
from tests.builders import make_saga, store

pytestmark = pytest.mark.django_db

SAGAS = f"{V1}/sagas/"
ADDRESSES = ["retry", "compensate", "pause", "resume", "cancel", "mark-done"]


def order(**overrides: Any) -> dict[str, Any]:
    return {"reason": "the shop called"} | overrides


def post(client: APIClient, saga: Saga, verb: str, **kwargs: Any) -> Any:
    body = kwargs.pop("body", order())
    return client.post(f"{SAGAS}{saga.pk}/{verb}/", body, **kwargs)


# What an order makes due now is due for the next transaction.
@pytest.mark.django_db(transaction=True)
def test_a_retry_starts_what_failed_again(api: APIClient, driver: Driver) -> None:
    saga, script = make_failed_saga(driver)

    response = post(api, saga, "retry", body=order(version=saga.version))

    assert response.status_code == 200
    assert response.json()["status"] == "running"
    assert response.json()["version"] == saga.version + 1
    driver.drive()
    saga.refresh_from_db()
    assert saga.status == "completed"
    assert script.actions == ["doA", "doB", "doB"]


def test_a_verb_leaves_the_actor_and_the_reason(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    post(api, saga, "retry")

    entry = JournalEntry.objects.get(saga=saga, kind="retried")
    assert entry.data["actor"] == "root"
    assert entry.data["reason"] == "the shop called"
    assert "the shop called" in LogEntry.objects.get().change_message


@pytest.mark.django_db(transaction=True)
def test_compensate_undoes_a_failed_saga(api: APIClient, driver: Driver) -> None:
    saga, script = make_failed_saga(driver)

    assert post(api, saga, "compensate").json()["status"] == "compensating"

    driver.drive()
    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert script.actions[-1] == "undoA"


def test_pause_and_resume(api: APIClient) -> None:
    saga = make_saga(store())

    assert post(api, saga, "pause").json()["paused"] is True
    assert post(api, saga, "resume").json()["paused"] is False


def test_cancel_undoes_a_running_saga(api: APIClient) -> None:
    saga = make_saga(store())

    assert post(api, saga, "cancel").json()["status"] == "compensated"


def test_mark_done_takes_the_step_and_the_evidence(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    response = post(api, saga, "mark-done", body=order(step="A", evidence="ticket 7"))

    assert response.status_code == 200
    assert response.json()["steps"][0]["status"] == "done_by_hand"
    assert JournalEntry.objects.get(kind="marked_done").data["evidence"] == "ticket 7"


@pytest.mark.parametrize("missing", ["step", "evidence", "reason"])
def test_mark_done_needs_all_three(api: APIClient, driver: Driver, missing: str) -> None:
    saga, _script = make_failed_saga(driver)
    body = order(step="A", evidence="ticket 7")
    del body[missing]

    assert error_of(post(api, saga, "mark-done", body=body), 400) == "invalid_request"


def test_a_step_that_has_no_effect_cannot_be_marked(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    response = post(api, saga, "mark-done", body=order(step="B", evidence="ticket 7"))

    assert error_of(response, 409) == "illegal_verb"


@pytest.mark.parametrize("how", ["body", "etag"])
def test_an_order_on_an_old_version_is_a_conflict(api: APIClient, driver: Driver, how: str) -> None:
    saga, _script = make_failed_saga(driver)
    body = order(version=1) if how == "body" else order()
    headers = {"If-Match": '"1"'} if how == "etag" else {}

    response = post(api, saga, "retry", body=body, headers=headers)

    assert error_of(response, 409) == "version_conflict"
    details = response.json()["error"]["details"]
    assert (details["seen"], details["found"]) == (1, saga.version)
    saga.refresh_from_db()
    assert saga.status == "failed"


def test_the_etag_that_was_shown_matches(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)
    etag = api.get(f"{SAGAS}{saga.pk}/")["ETag"]

    assert post(api, saga, "retry", headers={"If-Match": etag}).status_code == 200


@pytest.mark.parametrize("etag", ["nonsense", '"1", "2"'])
def test_an_if_match_that_is_no_version_is_refused(
    api: APIClient, driver: Driver, etag: str
) -> None:
    saga, _script = make_failed_saga(driver)

    assert error_of(post(api, saga, "retry", headers={"If-Match": etag}), 400) == "invalid_request"


def test_a_verb_that_its_state_forbids_is_refused(api: APIClient) -> None:
    saga = make_saga(store())

    response = post(api, saga, "retry")

    assert error_of(response, 409) == "illegal_verb"
    assert response.json()["error"]["details"]["verb"] == "retry"


def test_a_repeated_request_does_nothing_twice(api: APIClient) -> None:
    saga = make_saga(store())

    first = post(api, saga, "pause", body=order(request_id="r1"))
    second = post(api, saga, "pause", headers={"Idempotency-Key": "r1"})

    assert (first.status_code, second.status_code) == (200, 200)
    assert JournalEntry.objects.filter(kind="paused").count() == 1


def test_a_request_id_of_another_order_is_refused(api: APIClient) -> None:
    saga = make_saga(store())
    post(api, saga, "pause", body=order(request_id="r1"))

    response = post(api, saga, "resume", body=order(request_id="r1"))

    assert error_of(response, 400) == "invalid_order"


def test_a_reason_of_blanks_is_none(api: APIClient) -> None:
    saga = make_saga(store())

    assert post(api, saga, "pause", body={"reason": "  "}).status_code == 400


@pytest.mark.parametrize("verb", ADDRESSES)
def test_each_verb_needs_its_own_permission(verb: str) -> None:
    saga = make_saga(store())
    needed = PERMISSIONS[verb.replace("-", "_")]  # type: ignore[index]
    others = set(PERMISSIONS.values()) - {needed}

    refused = post(make_client(*others, name="other"), saga, verb)
    allowed = post(make_client(needed), saga, verb)

    assert error_of(refused, 403) == "permission_denied"
    assert needed in refused.json()["error"]["message"]
    assert allowed.status_code in (200, 400, 409)


@pytest.mark.parametrize("verb", ADDRESSES)
def test_a_verb_is_a_post_to_a_saga_that_exists(api: APIClient, verb: str) -> None:
    body = order(step="A", evidence="ticket 7") if verb == "mark-done" else order()

    missing = api.post(f"{SAGAS}{uuid4()}/{verb}/", body)
    got = api.get(f"{SAGAS}{uuid4()}/{verb}/")

    assert error_of(missing, 404) == "saga_not_found"
    assert error_of(got, 405) == "method_not_allowed"
    assert got["Allow"] == "POST"


def test_bulk_tells_the_outcome_of_each(api: APIClient, driver: Driver) -> None:
    failed, _script = make_failed_saga(driver)
    changed = make_saga(store(), key="changed")
    moving = make_saga(store(), key="moving")
    gone = uuid4()
    items = [
        {"id": str(failed.pk), "version": failed.version},
        {"id": str(changed.pk), "version": 99},
        {"id": str(moving.pk)},
        {"id": str(gone)},
    ]

    response = api.post(f"{SAGAS}verbs/", order(verb="retry", items=items, request_id="r1"))

    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["outcome"] for result in results] == ["done", "conflict", "illegal", "missing"]
    assert [result["id"] for result in results] == [item["id"] for item in items]


def test_bulk_needs_the_permission_of_its_verb(driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)
    client = make_client("sagas.pause_saga")
    body = order(verb="retry", items=[{"id": str(saga.pk)}])

    assert error_of(client.post(f"{SAGAS}verbs/", body), 403) == "permission_denied"


@pytest.mark.parametrize(
    "change", [{"items": []}, {"items": [{"id": "x"}]}, {"verb": "explode"}, {"verb": "mark_done"}]
)
def test_a_bulk_order_that_does_not_pass_is_refused(api: APIClient, change: dict[str, Any]) -> None:
    body = order(verb="retry", items=[{"id": str(uuid4())}]) | change

    assert error_of(api.post(f"{SAGAS}verbs/", body), 400) == "invalid_request"
