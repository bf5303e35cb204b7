"""Verbs that take a step, a version or another input, and signals, through the API."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from sagas.core.definition import Step, StepType
from sagas.engine.driver import Driver
from sagas.models import JournalEntry, Saga
from sagas.verbs import PERMISSIONS
from tests.api.builders import V1, error_of, make_client, make_failed_saga
from tests.builders import Script, make_saga, make_step, store

pytestmark = pytest.mark.django_db

SAGAS = f"{V1}/sagas/"
# What each address needs beside a reason, for a saga that failed at B.
NEEDED: dict[str, dict[str, Any]] = {
    "skip": {"step": "B"},
    "rewind": {"step": "A"},
    "run-now": {},
    "move": {"to_version": 2},
    "abandon": {},
    "approve": {"step": "Wait"},
    "reject": {"step": "Wait"},
}


def order(**overrides: Any) -> dict[str, Any]:
    return {"reason": "the shop called"} | overrides


def post(client: APIClient, saga: Saga, verb: str, **body: Any) -> Any:
    return client.post(f"{SAGAS}{saga.pk}/{verb}/", order(**body))


def waiting_for(driver: Driver, type: StepType, **fields: Any) -> Saga:
    """Return a saga that has done A and waits in its second step."""
    definition = store(make_step("A"), Step("Wait", "", "wait", type=type, **fields))
    Script().register(definition)
    saga = make_saga(definition)
    driver.drive()
    saga.refresh_from_db()
    return saga


def data_of(saga: Saga, kind: str) -> dict[str, Any]:
    data: dict[str, Any] = JournalEntry.objects.get(saga=saga, kind=kind).data
    return data


def test_a_step_is_skipped_with_an_output(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    shown = post(api, saga, "skip", step="B", output={"by": "hand"}).json()

    assert shown["steps"][1]["status"] == "skipped"
    assert shown["outputs"]["B"] == {"by": "hand"}


def test_a_saga_is_rewound(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    assert post(api, saga, "rewind", step="A").json()["status"] == "compensating"


def test_a_saga_is_abandoned(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    assert post(api, saga, "abandon").json()["status"] == "abandoned"
    assert data_of(saga, "abandoned")["standing"] == ["A"]


def test_a_saga_is_moved_to_another_version(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)
    store(*map(make_step, "ABC"))

    assert post(api, saga, "move", to_version=2).json()["definition_version"] == 2


def test_a_timer_is_ended_now(api: APIClient, driver: Driver) -> None:
    saga = waiting_for(driver, StepType.TIMER, wait_s=600)

    assert post(api, saga, "run-now").status_code == 200
    assert data_of(saga, "hurried")["steps"] == [1]


@pytest.mark.parametrize(("verb", "kind"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_is_given(api: APIClient, driver: Driver, verb: str, kind: str) -> None:
    saga = waiting_for(driver, StepType.APPROVAL)

    assert post(api, saga, verb, step="Wait").status_code == 200
    assert data_of(saga, kind)["actor"] == "root"


def test_a_retry_takes_another_input_and_shows_what_it_changed(
    api: APIClient, driver: Driver
) -> None:
    saga, _script = make_failed_saga(driver)

    shown = post(api, saga, "retry", input={"amount": 4}).json()

    assert shown["editions"] == [
        {
            "number": 1,
            "input": {"amount": 4},
            "changes": [{"path": "amount", "old": 3, "new": 4}],
        }
    ]
    assert shown["input"] == {"amount": 3}


def test_another_input_needs_a_permission_of_its_own(driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)
    client = make_client("sagas.retry_saga", "sagas.view_saga")

    refused = post(client, saga, "retry", input={"amount": 4})

    assert error_of(refused, 403) == "permission_denied"
    assert "sagas.edit_input_saga" in refused.json()["error"]["message"]
    assert post(client, saga, "retry").status_code == 200


def test_chosen_steps_are_compensated(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    assert post(api, saga, "compensate", steps=["A"]).status_code == 200
    assert data_of(saga, "compensation_ordered")["steps"] == [0]


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("skip", {}, 400),
        ("skip", {"step": "A"}, 409),
        ("rewind", {"step": "Nowhere"}, 409),
        ("move", {}, 400),
        ("move", {"to_version": 1}, 409),
        ("move", {"to_version": 99}, 400),
        ("compensate", {"steps": []}, 400),
        ("compensate", {"steps": ["A", "A"]}, 400),
        ("compensate", {"steps": ["B"]}, 409),
        ("retry", {"input": {"amount": 3}}, 400),
        ("abandon", {"step": "A"}, 400),
    ],
)
def test_an_order_that_does_not_fit_is_refused(
    api: APIClient, driver: Driver, verb: str, body: dict[str, Any], status: int
) -> None:
    saga, _script = make_failed_saga(driver)

    error_of(post(api, saga, verb, **body), status)

    saga.refresh_from_db()
    assert saga.status == "failed"


@pytest.mark.parametrize("verb", NEEDED)
def test_each_verb_needs_its_own_permission(verb: str) -> None:
    saga = make_saga(store())
    needed = PERMISSIONS[verb.replace("-", "_")]  # type: ignore[index]
    others = {*PERMISSIONS.values(), "sagas.signal_saga"} - {needed}

    refused = post(make_client(*others, name="other"), saga, verb, **NEEDED[verb])
    allowed = post(make_client(needed), saga, verb, **NEEDED[verb])

    assert error_of(refused, 403) == "permission_denied"
    assert allowed.status_code in (200, 400, 409)


@pytest.mark.parametrize("verb", NEEDED)
def test_a_verb_is_a_post_to_a_saga_that_exists_in_the_right_state(
    api: APIClient, verb: str
) -> None:
    nowhere = f"{SAGAS}{uuid4()}/{verb}/"
    done = make_saga(store())
    Saga.objects.filter(pk=done.pk).update(
        status="completed", due_at=None, state=done.state | {"status": "completed"}
    )

    assert error_of(api.post(nowhere, order(**NEEDED[verb])), 404) == "saga_not_found"
    assert error_of(api.get(nowhere), 405) == "method_not_allowed"
    assert error_of(post(api, done, verb, **NEEDED[verb]), 409) == "illegal_verb"


def test_a_repeated_order_does_nothing_twice(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)

    first = post(api, saga, "abandon", request_id="r1")
    second = post(api, saga, "abandon", request_id="r1")

    assert (first.status_code, second.status_code) == (200, 200)
    assert JournalEntry.objects.filter(kind="abandoned").count() == 1


def test_a_plan_is_made_for_what_is_chosen(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)
    address = f"{SAGAS}{saga.pk}/plan/"

    rewind = api.get(address, {"verb": "rewind", "step": "A"}).json()
    skip = api.get(address, {"verb": "skip", "step": "A"}).json()

    assert [(line["step"], line["direction"]) for line in rewind["calls"]] == [
        ("A", "backward"),
        ("A", "forward"),
        ("B", "forward"),
    ]
    assert rewind["standing"] == ["A"]
    assert (skip["legal"], skip["calls"]) == (False, [])
    assert "it can for: B" in skip["why_not"]
    assert error_of(api.get(address, {"verb": "skip"}), 400) == "invalid_order"
    assert error_of(api.get(address, {"verb": "move", "to_version": "x"}), 400)


def test_a_signal_is_taken_once(api: APIClient, driver: Driver) -> None:
    saga = waiting_for(driver, StepType.SIGNAL, signal="picked_up")
    address = f"{SAGAS}{saga.pk}/signals/"
    body = {"name": "picked_up", "data": {"by": "courier"}, "message_id": "m1"}

    first, second = api.post(address, body), api.post(address, body)

    assert (first.status_code, first.json()) == (202, {"result": "recorded"})
    assert second.json() == {"result": "repeated"}
    assert data_of(saga, "signalled")["actor"] == "root"


def test_a_signal_that_waits_for_its_step_is_shown(api: APIClient) -> None:
    saga = make_saga(
        store(make_step("A"), Step("Wait", "", "wait", type=StepType.SIGNAL, signal="picked_up"))
    )
    api.post(f"{SAGAS}{saga.pk}/signals/", {"name": "picked_up", "data": 7, "message_id": "m1"})

    assert api.get(f"{SAGAS}{saga.pk}/").json()["signals"] == [{"name": "picked_up", "data": 7}]


def test_a_signal_that_nobody_waits_for_is_refused(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)
    address = f"{SAGAS}{saga.pk}/signals/"
    body = {"name": "picked_up", "message_id": "m1"}

    assert error_of(api.post(address, body), 409) == "signal_refused"
    assert error_of(api.post(address, {"name": "picked_up"}), 400) == "invalid_request"
    assert error_of(api.post(f"{SAGAS}{uuid4()}/signals/", body), 404) == "saga_not_found"
    assert error_of(api.get(address), 405) == "method_not_allowed"
    assert error_of(make_client("sagas.view_saga").post(address, body), 403)


def test_the_detail_says_what_a_step_waits_for(api: APIClient, driver: Driver) -> None:
    saga = waiting_for(driver, StepType.TIMER, wait_s=600)

    step = api.get(f"{SAGAS}{saga.pk}/").json()["steps"][1]

    assert (step["type"], step["status"], step["waits_for"]) == ("timer", "waiting", "time")
    assert step["wake_at"].endswith("Z")


def test_many_sagas_are_moved_at_once(api: APIClient, driver: Driver) -> None:
    saga, _script = make_failed_saga(driver)
    store(*map(make_step, "ABC"))
    body = order(verb="move", items=[{"id": str(saga.pk)}])

    without = api.post(f"{SAGAS}verbs/", body)
    done = api.post(f"{SAGAS}verbs/", body | {"to_version": 2})

    assert error_of(without, 400) == "invalid_request"
    assert done.json()["results"][0]["outcome"] == "done"
