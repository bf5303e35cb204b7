"""What waits for a decision is found without looking through all sagas."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db.models import F
from django.test import Client

from sagas.console.attention import awaited_decisions
from sagas.core.definition import Step, StepType
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.models import AwaitedDecision, Saga
from sagas.retention.retaining import retain
from sagas.verbs import Details, Order, perform
from tests.api.builders import V1, error_of, make_client
from tests.builders import Script, drive_on, let_pass, make_saga, make_step, no, store
from tests.console.builders import make_operator, words

pytestmark = pytest.mark.django_db


@pytest.fixture
def begin(driver: Driver) -> Any:
    """Return a function that drives a saga up to where it waits for a decision."""

    def begin(*, key: str = "order-1", **fields: Any) -> Saga:
        step = Step("Check", "", "approve", type=StepType.APPROVAL, **fields)
        definition = store(make_step("A"), step, make_step("B"), name=key)
        Script().register(definition)
        saga = make_saga(definition, key=key)
        driver.drive()
        saga.refresh_from_db()
        return saga

    return begin


def waiting() -> list[str]:
    return [row.saga.business_key for row in AwaitedDecision.objects.open().order_by("since")]


def order() -> Order:
    return Order(None, "because", str(uuid.uuid4()))


def test_a_step_that_begins_to_wait_is_written_down(begin: Any) -> None:
    saga = begin(approvers="managers", within_s=60)

    row = AwaitedDecision.objects.open().get()

    assert (row.saga_id, row.step, row.approvers) == (saga.pk, "Check", "managers")
    assert row.until is not None


@pytest.mark.parametrize("verb", [Verb.APPROVE, Verb.REJECT])
def test_what_is_decided_waits_no_longer(begin: Any, verb: Verb) -> None:
    saga = begin()

    perform(verb, saga.pk, order(), Details("Check"))

    assert not AwaitedDecision.objects.exists()


def test_what_is_cancelled_waits_no_longer(begin: Any) -> None:
    perform(Verb.CANCEL, begin().pk, order())

    assert not AwaitedDecision.objects.exists()


def test_what_is_paused_is_left_out_until_it_goes_on(begin: Any) -> None:
    saga = begin()
    perform(Verb.PAUSE, saga.pk, order())
    assert waiting() == []

    perform(Verb.RESUME, saga.pk, order())

    assert waiting() == ["order-1"]


def test_what_nobody_decided_in_time_is_left_out_and_removed_later(
    driver: Driver, begin: Any
) -> None:
    saga = begin(within_s=60)
    let_pass(saga, 61)
    driver.drive()

    assert waiting() == []
    AwaitedDecision.objects.update(since=F("since") - timedelta(hours=2))
    begin(key="order-2")
    AwaitedDecision.objects.update(since=F("since") - timedelta(hours=2))
    assert retain()["decisions"] == 1
    assert waiting() == ["order-2"]


def test_a_branch_that_fails_ends_the_wait_of_another(driver: Driver) -> None:
    check = Step("Check", "", "approve", type=StepType.APPROVAL, after=(0,))
    definition = store(make_step("A"), make_step("B"), check)
    script = Script(doB=[no("B said no")]).register(definition)
    make_saga(definition)

    driver.drive()

    assert "undoA" in script.actions
    assert waiting() == []


def test_a_step_that_waits_anew_is_written_down_anew(driver: Driver) -> None:
    check = Step("Check", "", "approve", type=StepType.APPROVAL)
    definition = store(make_step("A"), check, make_step("B"), on_failure="park")
    Script(doB=[no("B said no")]).register(definition)
    saga = make_saga(definition)
    driver.drive()
    perform(Verb.APPROVE, saga.pk, order(), Details("Check"))
    drive_on(driver, saga)

    perform(Verb.REWIND, saga.pk, order(), Details("Check"))
    drive_on(driver, saga)

    assert waiting() == ["order-1"]


def test_overview_lists_what_waits_for_a_decision_the_reader_s_own_first(begin: Any) -> None:
    begin(key="theirs", approvers="directors")
    begin(key="ours", approvers="managers")
    client = make_operator("sagas.view_saga")
    ann = User.objects.get(username="ann")
    ann.groups.add(Group.objects.create(name="managers"))

    response = client.get("/")

    assert [row.saga.business_key for row in awaited_decisions(ann).rows] == ["ours", "theirs"]
    assert "Waiting for a decision 2" in words(response)
    assert "Nothing needs you." not in words(response)


def test_lists_are_narrowed_to_what_waits_for_a_decision(begin: Any, driver: Driver) -> None:
    begin()
    make_saga(store(name="other"), key="other")
    client = make_operator("sagas.view_saga", name="bob")
    api = make_client("sagas.view_saga")

    page: Any = client.get("/sagas/?waiting=approval")
    rows = api.get(f"{V1}/sagas/", {"waiting": "approval"}).json()["results"]

    assert [saga.business_key for saga in page.context["page"].rows] == ["order-1"]
    assert [row["business_key"] for row in rows] == ["order-1"]
    assert error_of(api.get(f"{V1}/sagas/", {"waiting": "godot"}), 400) == "invalid_request"


def test_overview_asks_as_often_however_much_waits(
    begin: Any, django_assert_num_queries: Any
) -> None:
    ann = User.objects.create_superuser("root")
    for number in range(3):
        begin(key=f"order-{number}")

    with django_assert_num_queries(1):
        awaited_decisions(ann)


def test_a_reader_without_the_permission_sees_none(begin: Any) -> None:
    begin()
    client: Client = make_operator("dlq.view_deadletter")

    assert "Waiting for a decision" not in words(client.get("/"))
