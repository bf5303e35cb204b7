"""The dialogs of verbs that ask for a choice: nothing is done whose consequences nobody saw."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from sagas.core.definition import OnFailure, Step, StepType
from sagas.core.journal import Entry, Kind
from sagas.models import JournalEntry, Saga
from tests.builders import make_definition, make_step, store
from tests.console.builders import (
    AT,
    NO,
    NOWHERE,
    make_operator,
    make_saga,
    order,
    succeeded,
    words,
    write_saga,
)

pytestmark = pytest.mark.django_db


def press(client: Client, saga: Saga, verb: str, **given: Any) -> Any:
    """Look at what will happen with this choice, then press the button."""
    address = f"/sagas/{saga.pk}/{verb}/"
    looked = client.post(address, given | {"preview": "1"})
    form = looked.context["question"].form
    return client.post(address, order(saga.version, seen=form["seen"].value() or "", **given))


def waiting_for(type: StepType, **fields: Any) -> Saga:
    """Return a saga that has done A and waits in its second step."""
    step = Step("Wait", "", "wait", type=type, **fields)
    waits_for = {StepType.SIGNAL: "signal", StepType.TIMER: "time"}.get(type, "approval")
    waiting = {"attempt": 1, "wake_at": AT + 9e9, "for": waits_for}
    story = [
        Entry(Kind.SAGA_STARTED, AT),
        *succeeded(0),
        Entry(Kind.STEP_WAITING, AT + 2, 1, waiting),
    ]
    return write_saga(make_definition(make_step("A"), step, make_step("B")), story)


def stopped(**overrides: Any) -> Saga:
    """Return a saga of A to D that stopped at C."""
    story = [
        Entry(Kind.SAGA_STARTED, AT),
        *succeeded(0),
        *succeeded(1),
        Entry(Kind.STEP_SENT, AT + 2, 2, {"attempt": 1}),
        Entry(Kind.STEP_FAILED, AT + 3, 2, {"attempt": 1, "error": NO, "wake_at": None}),
        Entry(Kind.SAGA_FAILED, AT + 4, None, {"cause": NO | {"step": "C"}}),
    ]
    definition = make_definition(*map(make_step, "ABCD"), on_failure=OnFailure.PARK)
    return write_saga(definition, story, **overrides)


def entry(saga: Saga, kind: str) -> dict[str, Any]:
    data: dict[str, Any] = JournalEntry.objects.get(saga=saga, kind=kind).data
    return data


def plan_of(response: Any) -> list[tuple[str, str]]:
    return [(line.step, line.direction.value) for line in response.context["question"].plan]


def test_a_step_is_skipped_with_an_output(admin: Client) -> None:
    saga = stopped()

    response = press(admin, saga, "skip", step="C", output='{"ticket": 7}')

    assert response.status_code == 302
    assert entry(saga, "step_skipped")["output"] == {"ticket": 7}
    saga.refresh_from_db()
    assert saga.status == "running"


def test_an_output_that_is_no_json_is_sent_back(admin: Client) -> None:
    saga = stopped()

    response = admin.post(
        f"/sagas/{saga.pk}/skip/", order(saga.version, step="C", output="{ticket")
    )

    assert response.status_code == 400
    assert b"{ticket" in response.content
    assert not JournalEntry.objects.filter(kind="step_skipped").exists()


def test_rewinding_shows_what_is_undone_and_done_again(admin: Client) -> None:
    saga = stopped()

    shown = admin.post(f"/sagas/{saga.pk}/rewind/", {"step": "B", "preview": "1"})

    assert shown.status_code == 200
    assert plan_of(shown) == [
        ("B", "backward"),
        ("B", "forward"),
        ("C", "forward"),
        ("D", "forward"),
    ]
    assert press(admin, saga, "rewind", step="B").status_code == 302
    saga.refresh_from_db()
    assert saga.status == "compensating"


def test_what_nobody_saw_the_consequences_of_is_shown_first(admin: Client) -> None:
    saga = stopped()

    response = admin.post(f"/sagas/{saga.pk}/rewind/", order(saga.version, step="A"))

    assert response.status_code == 200
    assert plan_of(response)[0] == ("B", "backward")
    form = response.context["question"].form
    assert form["reason"].value() == "the warehouse is open again"
    saga.refresh_from_db()
    assert saga.status == "failed"


def test_an_edited_input_is_shown_as_changes_before_it_is_sent(admin: Client) -> None:
    saga = stopped()
    edited = '{"amount": 4}'

    looked = admin.post(f"/sagas/{saga.pk}/retry/", {"input": edited, "preview": "1"})
    pressed = press(admin, saga, "retry", input=edited)

    assert looked.context["question"].details["changes"] == [{"path": "amount", "old": 3, "new": 4}]
    assert pressed.status_code == 302
    assert entry(saga, "retried")["input"] == {"amount": 4}


def test_an_input_that_is_left_as_it_is_is_no_edit(admin: Client) -> None:
    saga = stopped()

    response = admin.post(f"/sagas/{saga.pk}/retry/", order(saga.version, input='{ "amount": 3 }'))

    assert response.status_code == 302
    assert "input" not in entry(saga, "retried")


def test_editing_the_input_needs_its_own_permission() -> None:
    saga = stopped()
    client = make_operator("sagas.view_saga", "sagas.retry_saga")

    shown = client.get(f"/sagas/{saga.pk}/retry/")
    client.post(f"/sagas/{saga.pk}/retry/", order(saga.version, input='{"amount": 4}'))

    assert b'name="input"' not in shown.content
    assert "input" not in entry(saga, "retried")


def test_chosen_steps_are_compensated_in_the_chosen_order(admin: Client) -> None:
    saga = stopped()

    response = press(admin, saga, "compensate", **{"steps.A": "1", "steps.B": "2"})

    assert response.status_code == 302
    assert entry(saga, "compensation_ordered")["steps"] == [0, 1]


@pytest.mark.parametrize("places", [("", ""), ("1", "1"), ("first", "")])
def test_an_order_that_is_none_is_sent_back(admin: Client, places: tuple[str, str]) -> None:
    saga = stopped()
    given = {"steps.A": places[0], "steps.B": places[1]}

    response = admin.post(f"/sagas/{saga.pk}/compensate/", order(saga.version, **given))

    assert response.status_code == 400


def test_a_saga_is_moved_and_other_versions_say_why_not(admin: Client) -> None:
    saga = stopped()
    store(make_step("A"), make_step("B"), make_step("X"))
    store(*map(make_step, "ABCDE"))

    shown = admin.get(f"/sagas/{saga.pk}/move/")
    moved = admin.post(f"/sagas/{saga.pk}/move/", order(saga.version, target="3"))

    assert "The other version has no step C, which has begun." in words(shown)
    assert moved.status_code == 302
    saga.refresh_from_db()
    assert saga.definition.version == 3


def test_a_saga_without_another_version_stays(admin: Client) -> None:
    saga = stopped()

    response = admin.post(f"/sagas/{saga.pk}/move/", order(saga.version, target="1"))

    assert response.status_code == 409
    assert "no other version" in words(response)


def test_abandoning_names_what_stands_and_wants_the_key(admin: Client) -> None:
    saga = stopped()
    address = f"/sagas/{saga.pk}/abandon/"

    shown = admin.get(address)
    wrong = admin.post(address, order(saga.version, confirm="order"))
    right = admin.post(address, order(saga.version, confirm="order-1"))

    assert "What these steps have done stays as it is: B, A" in words(shown)
    assert (wrong.status_code, right.status_code) == (400, 302)
    saga.refresh_from_db()
    assert saga.status == "abandoned"


def test_a_decision_is_given(admin: Client) -> None:
    yes, no = (waiting_for(StepType.APPROVAL) for _ in range(2))

    approved, rejected = (
        press(admin, yes, "approve", step="Wait"),
        press(admin, no, "reject", step="Wait"),
    )

    assert (approved.status_code, rejected.status_code) == (302, 302)
    assert entry(yes, "approved")["actor"] == "root"
    assert entry(no, "rejected")["reason"] == "the warehouse is open again"


def test_only_members_of_the_group_decide() -> None:
    saga = waiting_for(StepType.APPROVAL, approvers="managers")
    client = make_operator("sagas.view_saga", "sagas.approve_saga")
    page = f"/sagas/{saga.pk}/"

    shown = client.get(page)
    refused = client.post(f"{page}approve/", order(saga.version, step="Wait", seen="x"))
    User.objects.get(username="ann").groups.add(Group.objects.create(name="managers"))

    assert "approve" not in [str(verb) for verb, _ in shown.context["verbs"]]
    assert "Only members of the group managers decide here." in words(refused)
    assert press(client, saga, "approve", step="Wait").status_code == 302


def test_what_waits_for_its_time_runs_now(admin: Client) -> None:
    saga = waiting_for(StepType.TIMER, wait_s=600)

    assert press(admin, saga, "run_now", step="Wait").status_code == 302

    assert entry(saga, "hurried")["steps"] == [1]


@pytest.mark.parametrize(
    "verb", ["skip", "rewind", "run_now", "move", "abandon", "approve", "reject"]
)
def test_a_verb_is_refused_with_the_reason_in_another_state(admin: Client, verb: str) -> None:
    saga = make_saga("completed")

    shown = admin.get(f"/sagas/{saga.pk}/{verb}/")
    pressed = admin.post(f"/sagas/{saga.pk}/{verb}/", order(saga.version, step="A"))

    assert shown.context["question"].refused
    assert pressed.status_code == 409
    assert admin.post(f"/sagas/{NOWHERE}/{verb}/", order()).status_code == 404
    assert admin.put(f"/sagas/{saga.pk}/{verb}/").status_code == 405


def test_a_repeated_press_does_nothing_twice(admin: Client) -> None:
    saga = stopped()
    pressed = order(saga.version, confirm="order-1")

    first = admin.post(f"/sagas/{saga.pk}/abandon/", pressed)
    second = admin.post(f"/sagas/{saga.pk}/abandon/", pressed)

    assert (first.status_code, second.status_code) == (302, 302)
    assert JournalEntry.objects.filter(kind="abandoned").count() == 1


def test_bulk_abandon_wants_their_number(admin: Client) -> None:
    sagas = [stopped(business_key=key) for key in "ab"]
    items = " ".join(f"{saga.pk}:{saga.version}" for saga in sagas)

    wrong = admin.post("/sagas/bulk/abandon/", order(items=items, count="3"))
    right = admin.post("/sagas/bulk/abandon/", order(items=items, count="2"))

    assert "There are 2." in words(wrong)
    assert [row[0].outcome for row in right.context["rows"]] == ["done", "done"]


def test_bulk_move_takes_a_version_of_their_definition(admin: Client) -> None:
    saga = stopped()
    store(*map(make_step, "ABCDE"))

    asked = admin.post("/sagas/bulk/move/", {"saga": [saga.pk]})
    done = admin.post("/sagas/bulk/move/", order(items=f"{saga.pk}:{saga.version}", target="2"))

    assert "v2" in words(asked)
    assert done.context["rows"][0][0].outcome == "done"


@pytest.mark.parametrize("verb", ["skip", "approve", "mark_done"])
def test_what_needs_a_step_is_no_verb_for_many(admin: Client, verb: str) -> None:
    assert admin.post(f"/sagas/bulk/{verb}/", order(items="")).status_code == 404
