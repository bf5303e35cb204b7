"""Sagas of local participants from start to end."""

from __future__ import annotations

import pytest
from django.utils import timezone

from sagas.core.definition import Kind
from sagas.engine.deciding import DEFER_S
from sagas.engine.driver import Driver
from sagas.models import Saga
from sagas.participants.directory import pause_participant, resume_participant
from tests.builders import (
    QUICK,
    Script,
    journal_of,
    let_pass,
    make_participant,
    make_saga,
    make_step,
    no,
    store,
)

pytestmark = pytest.mark.django_db


def test_a_saga_runs_its_steps_in_order_and_completes(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B"))
    script = Script().register(definition)
    saga = make_saga(definition, input={"amount": 3})

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert saga.due_at is None
    assert script.actions == ["doA", "doB"]
    assert script.calls[1].input == {"amount": 3}
    assert script.calls[1].outputs == {"A": {"did": "doA"}}
    assert journal_of(saga) == ["step_succeeded A", "step_succeeded B", "saga_completed"]


def test_a_failure_undoes_what_succeeded_in_reverse_order(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B"), make_step("C"))
    script = Script(doC=[no()]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert script.actions == ["doA", "doB", "doC", "undoB", "undoA"]


def test_the_first_step_failing_leaves_nothing_to_undo(driver: Driver) -> None:
    """Edge case 29."""
    definition = store(make_step("A"), make_step("B"))
    script = Script(doA=[no()]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert script.actions == ["doA"]


def test_a_spent_undo_fails_the_saga_and_the_other_undos_still_run(driver: Driver) -> None:
    """Edge case 18."""
    definition = store(make_step("A"), make_step("B"), make_step("C"))
    script = Script(doC=[no()], undoB=[no("cannot")]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "failed"
    assert saga.failed_step == "B"
    assert saga.error_message == "cannot"
    assert saga.fingerprint
    assert script.actions[-2:] == ["undoB", "undoA"]


def test_a_failure_after_the_pivot_waits_for_an_operator(driver: Driver) -> None:
    """Edge case 30."""
    definition = store(
        make_step("A"),
        make_step("P", kind=Kind.PIVOT, compensation=None),
        make_step("C", kind=Kind.RETRIABLE, compensation=None),
    )
    script = Script(doC=[no("never")]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    saga.refresh_from_db()
    assert (saga.status, saga.failed_step) == ("failed", "C")
    assert saga.due_at is None
    assert script.actions == ["doA", "doP", "doC"]


def test_a_step_is_tried_as_often_as_its_policy_says(driver: Driver) -> None:
    definition = store(make_step("A", retry=QUICK))
    script = Script(doA=[ValueError("1"), ValueError("2"), ValueError("3")]).register(definition)
    saga = make_saga(definition)

    driver.drive()
    saga.refresh_from_db()
    assert (saga.status, script.actions) == ("running", ["doA"])
    assert saga.due_at is not None
    for _ in range(2):
        let_pass(saga, 1)
        driver.drive()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert [call.attempt for call in script.calls] == [1, 2, 3]
    assert len({call.idempotency_key for call in script.calls}) == 1


def test_a_retry_is_not_made_before_it_is_due(driver: Driver) -> None:
    """Edge case 19."""
    definition = store(make_step("A", retry=QUICK._replace(initial_s=60, cap_s=60)))
    script = Script(doA=[ValueError()]).register(definition)
    saga = make_saga(definition)
    driver.drive()

    let_pass(saga, 55)
    driver.drive()
    assert script.actions == ["doA"]
    let_pass(saga, 6)
    driver.drive()

    assert script.actions == ["doA", "doA"]


def test_a_worker_that_looks_too_early_waits_for_the_time_in_the_state(driver: Driver) -> None:
    """Edge case 33: what the claim read may be stale; the core checks the time again."""
    definition = store(make_step("A", retry=QUICK._replace(initial_s=60, cap_s=60)))
    script = Script(doA=[ValueError()]).register(definition)
    saga = make_saga(definition)
    driver.drive()
    Saga.objects.update(due_at=timezone.now())

    Saga.objects.update(due_at="2020-01-01T00:00:00Z")
    driver.drive()

    saga.refresh_from_db()
    assert script.actions == ["doA"]
    assert saga.due_at is not None
    assert saga.due_at > timezone.now()


def test_a_saga_that_takes_too_long_is_undone(driver: Driver) -> None:
    definition = store(
        make_step("A"), make_step("B", retry=QUICK._replace(initial_s=50)), timeout_s=30.0
    )
    script = Script(doB=[ValueError()]).register(definition)
    saga = make_saga(definition)
    driver.drive()

    let_pass(saga, 31)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert saga.state["cause"]["class"] == "SagaTimeout"
    assert script.actions == ["doA", "doB", "undoA"]


def test_a_saga_stays_on_the_version_it_began_with(driver: Driver) -> None:
    """Edge case 25."""
    old = store(make_step("A"), make_step("B"))
    saga = make_saga(old)
    new = store(make_step("A"), make_step("C"))
    script = Script().register(old).register(new)

    driver.drive()

    saga.refresh_from_db()
    assert saga.definition.version == 1
    assert script.actions == ["doA", "doB"]


def test_a_saga_of_a_callable_this_worker_lacks_waits_and_others_go_on(driver: Driver) -> None:
    """Edge case 26."""
    unknown = store(make_step("A", participant="Elsewhere"), name="unknown")
    known = store(make_step("A"), name="known")
    Script().register(known)
    waiting, other = make_saga(unknown), make_saga(known)

    driver.drive()

    waiting.refresh_from_db()
    other.refresh_from_db()
    assert other.status == "completed"
    assert waiting.status == "running"
    assert journal_of(waiting) == []
    assert waiting.due_at is not None
    assert 0 < (waiting.due_at - timezone.now()).total_seconds() <= DEFER_S


def test_a_deferred_saga_runs_once_its_callable_is_there(driver: Driver) -> None:
    """Edge case 26."""
    definition = store(make_step("A"))
    saga = make_saga(definition)
    driver.drive()
    script = Script().register(definition)

    let_pass(saga, DEFER_S + 1)
    Driver().drive()

    assert script.actions == ["doA"]


def test_steps_of_a_paused_participant_wait_and_spend_no_attempt(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B", participant="Other"))
    script = Script().register(definition)
    other = Script("Other").register(definition)
    participant = make_participant("Other")
    pause_participant(participant, actor=None, reason="maintenance")
    saga = make_saga(definition)

    driver.drive()
    assert (script.actions, other.actions) == (["doA"], [])
    resume_participant(participant, actor=None)
    let_pass(saga, DEFER_S + 1)
    Driver().drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert other.calls[0].attempt == 1


def test_a_batch_that_is_smaller_than_what_is_due_is_followed_by_others() -> None:
    definition = store(make_step("A"), make_step("B"))
    script = Script().register(definition)
    for number in range(7):
        make_saga(definition, key=f"order-{number}")

    more = Driver(batch_size=3).drive()

    assert not more
    assert len(script.calls) == 14
    assert set(Saga.objects.values_list("status", flat=True)) == {"completed"}


def test_a_drive_whose_time_is_up_gives_back_what_it_holds_and_says_so() -> None:
    definition = store(make_step("A"))
    Script().register(definition)
    saga = make_saga(definition)

    assert Driver().drive(budget_s=0)

    saga.refresh_from_db()
    assert (saga.status, saga.epoch) == ("running", 0)


def test_there_is_nothing_to_do_without_due_sagas(driver: Driver) -> None:
    assert not driver.drive()
