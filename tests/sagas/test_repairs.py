"""What operators do to put a saga right, seen by its participants."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from sagas import catalogue
from sagas.core.definition import Kind, OnFailure, RetryPolicy
from sagas.core.verbs import Verb, legal
from sagas.engine.driver import Driver
from sagas.engine.intervening import state_of
from sagas.exceptions import IllegalVerb, InvalidOrder
from sagas.models import JournalEntry, Saga
from sagas.verbs import MAX_EDITIONS, Details, Order, perform
from tests.builders import (
    Script,
    drive_on,
    journal_of,
    make_definition,
    make_saga,
    make_step,
    no,
    store,
)

pytestmark = pytest.mark.django_db


def order(reason: str = "because") -> Order:
    return Order(None, reason, str(uuid.uuid4()))


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def stopped(driver: Driver, script: Script) -> Any:
    """Return a function that gives a saga of A to D whose step C said no, and which parks."""

    def make(**overrides: Any) -> Saga:
        fields: dict[str, Any] = {"on_failure": OnFailure.PARK} | overrides
        definition = store(*map(make_step, "ABCD"), **fields)
        script.script["doC"] = [no("C said no")]
        script.register(definition)
        saga = make_saga(definition, input={"seats": 2, "names": ["Kim"]})
        driver.drive()
        saga.refresh_from_db()
        return saga

    return make


def go_on(driver: Driver, saga: Saga) -> Saga:
    drive_on(driver, saga)
    saga.refresh_from_db()
    return saga


def last_call(script: Script, action: str) -> Any:
    return [call for call in script.calls if call.action == action][-1]


def test_an_edited_input_has_a_new_key_and_its_changes_in_the_journal(
    driver: Driver, script: Script, stopped: Any
) -> None:
    """Edge case 37."""
    saga = stopped()

    edited = {"seats": 1, "names": ["Kim", "Lee"], "note": "late"}
    perform(Verb.RETRY, saga.pk, order(), Details(edited=(edited,)))
    go_on(driver, saga)

    assert saga.status == "completed"
    again = last_call(script, "doC")
    assert again.idempotency_key == f"{saga.pk}/C/do/2"
    assert again.input == edited
    assert last_call(script, "doD").input == edited
    entry = JournalEntry.objects.get(saga=saga, kind="retried")
    assert entry.data["changes"] == [
        {"path": "names[1]", "new": "Lee"},
        {"path": "note", "new": "late"},
        {"path": "seats", "old": 2, "new": 1},
    ]


def test_an_undo_gets_the_input_that_its_action_got(
    driver: Driver, script: Script, stopped: Any
) -> None:
    """Edge case 37: what was reserved with the old input is released with it."""
    saga = stopped()
    perform(Verb.RETRY, saga.pk, order(), Details(edited=({"seats": 1},)))
    go_on(driver, saga)

    perform(Verb.COMPENSATE, saga.pk, order())
    go_on(driver, saga)

    assert saga.status == "compensated"
    assert last_call(script, "undoC").input == {"seats": 1}
    assert last_call(script, "undoA").input == {"seats": 2, "names": ["Kim"]}


def test_nothing_is_edited_while_an_outcome_is_unknown(driver: Driver, script: Script) -> None:
    """Edge case 37: with a new key, what may have been done would be done twice."""
    definition = store(make_step("A"), on_failure=OnFailure.PARK)
    saga = make_saga(definition)
    state = saga.state | {
        "status": "failed",
        "steps": [
            {
                "status": "unknown",
                "order": 1,
                "attempt": 1,
                "in_doubt": True,
                "error": {"class": "Lost", "message": "", "retryable": True},
            }
        ],
    }
    Saga.objects.filter(pk=saga.pk).update(state=state, status="failed", due_at=None)

    with pytest.raises(IllegalVerb, match="twice"):
        perform(Verb.RETRY, saga.pk, order(), Details(edited=({},)))
    saga.delete()


@pytest.mark.parametrize(
    ("edited", "message"),
    [
        ({"seats": 2, "names": ["Kim"]}, "the old one"),
        ({"note": "x" * 2_000_000}, "allowed"),
    ],
)
def test_an_edit_that_cannot_be_taken_says_why(
    stopped: Any, edited: dict[str, Any], message: str
) -> None:
    """Edge case 36."""
    with pytest.raises(InvalidOrder, match=message):
        perform(Verb.RETRY, stopped().pk, order(), Details(edited=(edited,)))


def test_an_input_is_edited_only_so_often(driver: Driver, script: Script, stopped: Any) -> None:
    saga = stopped()
    for number in range(MAX_EDITIONS):
        script.script["doC"] = [no("still no")]
        perform(Verb.RETRY, saga.pk, order(), Details(edited=({"try": number},)))
        go_on(driver, saga)

    with pytest.raises(IllegalVerb, match="start a new saga"):
        perform(Verb.RETRY, saga.pk, order(), Details(edited=({"try": "again"},)))


def test_a_failed_step_is_skipped_with_an_output_of_the_operator(
    driver: Driver, script: Script, stopped: Any
) -> None:
    saga = stopped()

    perform(Verb.SKIP, saga.pk, order(), Details("C", output={"ticket": 7}))
    go_on(driver, saga)

    assert saga.status == "completed"
    assert last_call(script, "doD").outputs["C"] == {"ticket": 7}
    assert script.actions.count("doC") == 1


def test_a_skipped_step_is_left_alone_by_the_undo(
    driver: Driver, script: Script, stopped: Any
) -> None:
    saga = stopped()
    perform(Verb.SKIP, saga.pk, order(), Details("C"))
    go_on(driver, saga)

    perform(Verb.COMPENSATE, saga.pk, order())
    go_on(driver, saga)

    assert saga.status == "compensated"
    assert script.actions[-3:] == ["undoD", "undoB", "undoA"]


def test_only_what_is_next_in_line_can_be_skipped(stopped: Any) -> None:
    with pytest.raises(IllegalVerb, match="it can for: C"):
        perform(Verb.SKIP, stopped().pk, order(), Details("D"))


def test_rewinding_undoes_what_came_after_and_does_it_again(
    driver: Driver, script: Script, stopped: Any
) -> None:
    saga = stopped()

    perform(Verb.REWIND, saga.pk, order(), Details("B"))
    go_on(driver, saga)

    assert saga.status == "completed"
    assert script.actions == ["doA", "doB", "doC", "undoB", "doB", "doC", "doD"]
    keys = [call.idempotency_key.partition("/")[2] for call in script.calls]
    assert keys[3:] == ["B/undo", "B/do/2", "C/do/2", "D/do"]


def test_a_saga_is_rewound_as_often_as_it_takes(
    driver: Driver, script: Script, stopped: Any
) -> None:
    saga = stopped()
    for _ in range(2):
        script.script["doC"] = [no("still no")]
        perform(Verb.REWIND, saga.pk, order(), Details("A"))
        go_on(driver, saga)
        assert saga.status == "failed"

    keys = [call.idempotency_key.partition("/")[2] for call in script.calls]
    assert [key for key in keys if key.startswith("A/")] == [
        "A/do",
        "A/undo",
        "A/do/2",
        "A/undo/2",
        "A/do/3",
    ]


def test_a_rewind_goes_on_after_an_undo_that_failed(
    driver: Driver, script: Script, stopped: Any
) -> None:
    saga = stopped()
    script.script["undoB"] = [no("not now")]
    perform(Verb.REWIND, saga.pk, order(), Details("B"))
    go_on(driver, saga)
    assert (saga.status, saga.failed_step) == ("failed", "B")

    perform(Verb.RETRY, saga.pk, order())
    go_on(driver, saga)

    assert saga.status == "completed"


def test_a_rewind_goes_on_after_an_undo_by_hand(
    driver: Driver, script: Script, stopped: Any
) -> None:
    saga = stopped()
    script.script["undoB"] = [no("not now")]
    perform(Verb.REWIND, saga.pk, order(), Details("B"))
    go_on(driver, saga)

    perform(Verb.MARK_DONE, saga.pk, order(), Details("B", "called them"))
    go_on(driver, saga)

    assert saga.status == "completed"
    assert script.actions[-3:] == ["doB", "doC", "doD"]


def test_nothing_is_rewound_behind_the_point_of_no_return(driver: Driver, script: Script) -> None:
    """Edge case 30."""
    definition = store(
        make_step("A"),
        make_step("B", kind=Kind.PIVOT),
        make_step("C", kind=Kind.RETRIABLE, compensation=None),
    )
    script.script["doC"] = [no("C said no")]
    script.register(definition)
    saga = make_saga(definition)
    driver.drive()

    with pytest.raises(IllegalVerb, match="it can for: C"):
        perform(Verb.REWIND, saga.pk, order(), Details("A"))


def test_chosen_steps_are_undone_in_the_chosen_order(
    driver: Driver, script: Script, stopped: Any
) -> None:
    saga = stopped()
    perform(Verb.RETRY, saga.pk, order())
    go_on(driver, saga)
    assert saga.status == "completed"

    perform(Verb.COMPENSATE, saga.pk, order(), Details(steps=("A", "C")))
    go_on(driver, saga)

    assert script.actions[-2:] == ["undoA", "undoC"]
    assert (saga.status, saga.error_message) == (
        "failed",
        "The chosen steps are undone; effects of others stand.",
    )

    perform(Verb.COMPENSATE, saga.pk, order())
    go_on(driver, saga)
    assert saga.status == "compensated"
    assert script.actions[-2:] == ["undoD", "undoB"]


@pytest.mark.parametrize("steps", [(), ("A", "A"), ("C",), ("Nowhere",)])
def test_only_standing_effects_can_be_chosen(stopped: Any, steps: tuple[str, ...]) -> None:
    with pytest.raises((IllegalVerb, InvalidOrder)):
        perform(Verb.COMPENSATE, stopped().pk, order(), Details(steps=steps))


def test_an_abandoned_saga_lists_what_stands(driver: Driver, stopped: Any) -> None:
    saga = stopped()

    perform(Verb.ABANDON, saga.pk, order("the airline is gone"))

    saga.refresh_from_db()
    assert (saga.status, saga.due_at) == ("abandoned", None)
    entry = JournalEntry.objects.get(saga=saga, kind="abandoned")
    assert entry.data["standing"] == ["B", "A"]
    assert legal(*state_of(saga)) == ()


def test_run_now_tries_a_step_in_back_off_at_once(driver: Driver, script: Script) -> None:
    slow = RetryPolicy(attempts=3, initial_s=600, cap_s=600, total_s=9_000)
    definition = store(make_step("A", retry=slow))
    script.script["doA"] = [OSError("later")]
    script.register(definition)
    saga = make_saga(definition)
    driver.drive()
    assert go_on(driver, saga).status == "running"

    perform(Verb.RUN_NOW, saga.pk, order())

    assert go_on(driver, saga).status == "completed"


def test_a_saga_goes_on_under_another_version(driver: Driver, script: Script, stopped: Any) -> None:
    """Edge case 25: moving a saga is an explicit verb."""
    saga = stopped()
    newer = make_definition(
        make_step("A"), make_step("B"), make_step("New"), make_step("C2"), name="test"
    )
    catalogue.store_definition(newer._replace(on_failure=OnFailure.PARK))
    with pytest.raises(IllegalVerb, match="no step C"):
        perform(Verb.MOVE, saga.pk, order(), Details(version=2))

    third = make_definition(*map(make_step, ("A", "B", "New", "C")), name="test")
    catalogue.store_definition(third)
    script.register(third)
    perform(Verb.MOVE, saga.pk, order(), Details(version=3))
    perform(Verb.RETRY, saga.pk, order())
    go_on(driver, saga)

    assert (saga.status, saga.definition.version) == ("completed", 3)
    assert script.actions[3:] == ["doNew", "doC"]
    assert journal_of(saga)[-1] == "saga_completed"


@pytest.mark.parametrize("version", [1, 99])
def test_a_version_that_cannot_be_moved_to_says_why(stopped: Any, version: int) -> None:
    with pytest.raises((IllegalVerb, InvalidOrder)):
        perform(Verb.MOVE, stopped().pk, order(), Details(version=version))
