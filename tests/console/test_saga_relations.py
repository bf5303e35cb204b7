"""The page of a saga whose steps wait, go side by side, start others, or were left out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from sagas.console.steps import side_by_side
from sagas.core.definition import Step, StepType
from sagas.core.journal import Entry, Kind
from sagas.models import JournalEntry, Saga
from tests.builders import make_definition, make_step, store
from tests.console.builders import AT, NO, NOWHERE, make_operator, succeeded, words, write_saga

pytestmark = pytest.mark.django_db

STARTED = Entry(Kind.SAGA_STARTED, AT)


def waits(what: str, step: Step, **data: Any) -> Saga:
    """Return a saga that has done A and whose second step waits."""
    waiting = {"attempt": 1, "wake_at": AT + 9e9, "for": what} | data
    story = [STARTED, *succeeded(0), Entry(Kind.STEP_WAITING, AT + 2, 1, waiting)]
    return write_saga(make_definition(make_step("A"), step, make_step("B")), story)


def signal(**fields: Any) -> Step:
    return Step("Pick", "", "wait", type=StepType.SIGNAL, signal="picked_up", **fields)


def page(client: Client, saga: Saga) -> Any:
    return client.get(f"/sagas/{saga.pk}/")


def test_decision_is_asked_for_on_top(admin: Client) -> None:
    step = Step("Check", "", "approve", type=StepType.APPROVAL, approvers="managers", within_s=60)
    saga = waits("approval", step)

    response = page(admin, saga)

    assert "“Check” waits for a decision. Members of managers decide." in words(response)
    assert re.search(r"It has waited for .+ days?", words(response))
    assert re.search(r"If nobody decides within .+ days? ?, it counts as rejected", words(response))
    assert f"/sagas/{saga.pk}/approve/?step=Check".encode() in response.content


def test_decision_that_nobody_needs_to_take_goes_on_without(admin: Client) -> None:
    step = Step("Check", "", "approve", type=StepType.APPROVAL, within_s=60, on_timeout="continue")
    saga = waits("approval", step)

    text = words(page(admin, saga))

    assert re.search(r"If nobody decides within .+ days? ?, it goes on without a decision", text)
    assert re.search(r"waiting for a decision for .+ days? goes on without it in", text)


def test_decision_reads_well_in_korean(admin: Client) -> None:
    step = Step("Check", "", "approve", type=StepType.APPROVAL, within_s=60)
    saga = waits("approval", step)

    korean = admin.get(f"/sagas/{saga.pk}/", headers={"Accept-Language": "ko"})

    assert re.search("일 째 기다리고 있습니다. .+일 안에 아무도 결정하지 않으면", words(korean))
    assert re.search("결정 대기 .+일 째 .+일 후 대기 종료", words(korean))


@pytest.mark.parametrize(
    ("what", "story"),
    [
        ("time", "goes on after 10 min"),
        ("approval", "waits for it 10 min at most"),
    ],
)
def test_history_says_how_a_wait_ends(admin: Client, what: str, story: str) -> None:
    types = {"time": StepType.TIMER, "approval": StepType.APPROVAL}
    saga = waits(what, Step("Rest", "", "wait", type=types[what]), wake_at=AT + 602)

    text = words(page(admin, saga))

    assert story in text
    assert re.search("for [0-9]+ days overdue by [0-9]+ days", text)


def test_decision_of_others_has_no_buttons() -> None:
    step = Step("Check", "", "approve", type=StepType.APPROVAL, approvers="managers")
    saga = waits("approval", step)
    clerk = make_operator("sagas.view_saga", "sagas.approve_saga")

    response = page(clerk, saga)

    assert "waits for a decision" in words(response)
    assert b"/approve/" not in response.content


def test_step_says_which_signal_it_waits_for_and_offers_to_send_it(admin: Client) -> None:
    saga = waits("signal", signal(within_s=60))

    response = page(admin, saga)

    assert "“Pick” waits for the signal picked_up." in words(response)
    assert "waiting for a signal" in words(response)
    assert f"/sagas/{saga.pk}/signal/?name=picked_up".encode() in response.content
    reader = make_operator("sagas.view_saga")
    assert b"/signal/" not in page(reader, saga).content


def test_signal_is_sent_from_its_dialog(admin: Client) -> None:
    saga = waits("signal", signal())
    address = f"/sagas/{saga.pk}/signal/"
    sent = {"name": "picked_up", "payload": '{"by": "me"}', "message_id": "m1"}

    first, second = admin.post(address, sent), admin.post(address, sent)

    assert (first.status_code, second.status_code) == (302, 302)
    (entry,) = JournalEntry.objects.filter(saga=saga, kind="signalled")
    assert (entry.data["data"], entry.data["actor"]) == ({"by": "me"}, "root")


def test_signal_dialog_refuses_what_it_must(admin: Client) -> None:
    saga = waits("signal", signal())
    address = f"/sagas/{saga.pk}/signal/"
    sent = {"name": "picked_up", "payload": "{", "message_id": "m1"}
    no_signals = write_saga(make_definition(), [STARTED])

    assert admin.post(address, sent).status_code == 400
    assert admin.post(address, sent | {"name": "other", "payload": ""}).status_code == 400
    assert admin.post(f"/sagas/{no_signals.pk}/signal/", sent).status_code == 409
    assert admin.get(f"/sagas/{NOWHERE}/signal/").status_code == 404
    assert admin.delete(address).status_code == 405
    assert make_operator("sagas.view_saga").get(address).status_code == 403
    assert not JournalEntry.objects.filter(kind="signalled").exists()


def test_signal_that_no_step_has_taken_is_shown(admin: Client) -> None:
    early = Entry(Kind.SIGNALLED, AT + 1, None, {"name": "picked_up", "data": {"by": "courier"}})
    saga = write_saga(make_definition(make_step("A"), signal()), [STARTED, early])

    text = words(page(admin, saga))

    assert "picked_up not taken yet" in text
    assert "Signal received" in text


def test_parent_and_child_link_to_each_other(admin: Client) -> None:
    store(name="shipping")
    parcel = Step("Ship", "shipping", "start", "undo", type=StepType.SAGA)
    child_id = "00000000-0000-7000-8000-000000000002"
    parent = waits("saga", parcel, child=child_id)
    started = Entry(
        Kind.SAGA_STARTED, AT, None, {"parent": {"saga": str(parent.pk), "step": "Ship"}}
    )
    child = write_saga(
        make_definition(name="shipping"), [started], pk=child_id, business_key="parcel"
    )

    of_parent, of_child = page(admin, parent), page(admin, child)

    assert "“Ship” has started a saga and waits for its end." in words(of_parent)
    assert f'href="/sagas/{child.pk}/">shipping'.encode() in of_parent.content
    assert f'href="/sagas/{parent.pk}/">order-1'.encode() in of_child.content


def test_step_that_is_blocked_names_lock_and_holder(admin: Client) -> None:
    holder = write_saga(make_definition(), [STARTED], business_key="holder")
    blocked = Entry(Kind.LOCK_AWAITED, AT + 1, 0, {"lock": "seat:4A", "holder": str(holder.pk)})
    saga = write_saga(make_definition(), [STARTED, blocked])

    response = page(admin, saga)

    assert "waits for the lock seat:4A" in words(response)
    assert f'href="/sagas/{holder.pk}/">holder'.encode() in response.content


def test_skipped_step_shows_its_condition(admin: Client) -> None:
    skipped = Entry(Kind.STEP_SKIPPED, AT + 1, 0, {"when": "input.express"})
    definition = make_definition(make_step("A", when="input.express"), make_step("B"))
    saga = write_saga(definition, [STARTED, skipped])

    text = words(page(admin, saga))

    assert "skipped only if input.express" in text


def test_edited_input_is_shown_with_its_changes(admin: Client) -> None:
    edited = {"actor": "ann", "reason": "typo", "steps": [0], "input": {"amount": 4}}
    story = [
        STARTED,
        Entry(Kind.STEP_FAILED, AT + 1, 0, {"attempt": 1, "error": NO, "wake_at": None}),
        Entry(Kind.SAGA_FAILED, AT + 2, None, {"cause": NO | {"step": "A"}}),
        Entry(Kind.RETRIED, AT + 3, None, edited),
    ]
    saga = write_saga(make_definition(), story)

    response = page(admin, saga)

    assert "Edited, no. 1 ann" in words(response)
    assert "amount 3 → 4" in words(response)


def test_every_kind_of_entry_has_its_words(admin: Client) -> None:
    """What the journal has learned is shown without falling back to raw data."""
    who = {"actor": "ann", "reason": "because"}
    told = {
        Kind.STEP_PROBED: {"attempt": 1, "outcome": "unknown", "wake_at": AT},
        Kind.SIGNAL_TAKEN: {"attempt": 1, "signal": "s", "output": 1},
        Kind.HURRIED: who | {"steps": []},
        Kind.REWIND_ORDERED: who | {"to": 0, "steps": [0], "undo": []},
        Kind.REWOUND: {"steps": [0]},
        Kind.ABANDONED: who | {"standing": ["A"]},
        Kind.MOVED: who | {"from": 1, "to": 2, "before": ["A"], "after": ["A"]},
        Kind.APPROVED: who,
        Kind.REJECTED: who,
    }
    saga = write_saga(make_definition(), [STARTED])
    JournalEntry.objects.bulk_create(
        JournalEntry(saga=saga, seq=seq, kind=kind, step="A", data=data, at=saga.created_at)
        for seq, (kind, data) in enumerate(told.items(), start=2)
    )

    response = page(admin, saga)

    raw = {key for line in response.context["timeline"] for key in line.data or ()}
    assert raw == {"output"}
    assert "v1 → v2" in words(response)
    assert "it does not know" in words(response)
    assert "effects stand of: A" in words(response)


def test_steps_side_by_side_are_told_apart() -> None:
    fork = make_definition(
        make_step("A"),
        make_step("B"),
        make_step("C", after=(0,)),
        make_step("D", after=(1, 2)),
    )

    assert side_by_side(fork) == [[], ["C"], ["B"], []]


def test_page_shows_steps_side_by_side(admin: Client) -> None:
    fork = make_definition(make_step("A"), make_step("B"), make_step("C", after=(0,)))
    saga = write_saga(fork, [STARTED])

    assert "side by side with C" in words(page(admin, saga))
