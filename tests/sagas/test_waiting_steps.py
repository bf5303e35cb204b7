"""Steps that wait: for a time, a signal, a decision; and steps that a condition skips."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from sagas.core.definition import OnTimeout, Step, StepType
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.exceptions import IllegalVerb, SagaNotFound, SignalRefused
from sagas.models import Saga
from sagas.signals import MAX_UNTAKEN, send_signal
from sagas.starting import start
from sagas.verbs import Details, Order, perform
from tests.builders import Script, drive_on, journal_of, let_pass, make_saga, make_step, store

pytestmark = pytest.mark.django_db


def timer(**overrides: Any) -> Step:
    return Step("Wait", "", "wait", type=StepType.TIMER, **overrides)


def signal(**overrides: Any) -> Step:
    fields: dict[str, Any] = {"signal": "picked_up"} | overrides
    return Step("Wait", "", "signal", type=StepType.SIGNAL, **fields)


def approval(**overrides: Any) -> Step:
    return Step("Wait", "", "approve", type=StepType.APPROVAL, **overrides)


@pytest.fixture
def begin(driver: Driver) -> Any:
    """Return a function that drives a saga of A, a waiting step and B up to where it waits."""

    def begin(step: Step, input: Any = None, **overrides: Any) -> Saga:
        definition = store(make_step("A"), step, make_step("B"), **overrides)
        Script().register(definition)
        saga = make_saga(definition, input=input)
        driver.drive()
        saga.refresh_from_db()
        return saga

    return begin


def go_on(driver: Driver, saga: Saga, seconds: float = 1) -> Saga:
    let_pass(saga, seconds)
    driver.drive()
    saga.refresh_from_db()
    return saga


def order(reason: str = "because") -> Order:
    return Order(None, reason, str(uuid.uuid4()))


def test_a_timer_holds_the_saga_until_its_time(driver: Driver, begin: Any) -> None:
    saga = begin(timer(wait_s=600))
    assert saga.state["steps"][1]["status"] == "waiting"

    assert go_on(driver, saga, 300).status == "running"
    assert go_on(driver, saga, 301).status == "completed"


def test_a_timer_may_end_at_a_time_of_the_input(driver: Driver, begin: Any) -> None:
    saga = begin(timer(until="input.departs"), input={"departs": "2020-01-01T00:00:00+09:00"})

    assert go_on(driver, saga).status == "completed"


@pytest.mark.parametrize("departs", ["soon", None, "2020-01-01T00:00:00", -1, 1e300, True])
def test_a_timer_without_a_time_fails_and_says_so(driver: Driver, begin: Any, departs: Any) -> None:
    saga = begin(timer(until="input.departs"), input={"departs": departs})

    assert go_on(driver, saga).status == "compensated"
    assert "input.departs" in saga.error_message


def test_a_signal_lets_the_saga_go_on_with_its_data(driver: Driver, begin: Any) -> None:
    saga = begin(signal())

    assert send_signal(saga.pk, "picked_up", {"by": "courier"}, message_id="m1") == "recorded"
    go_on(driver, saga)

    assert saga.status == "completed"
    assert saga.state["steps"][1]["output"] == {"by": "courier"}


def test_a_signal_may_come_before_the_step_that_waits_for_it(driver: Driver, begin: Any) -> None:
    definition = store(make_step("A"), signal(), make_step("B"))
    Script().register(definition)
    saga = make_saga(definition)

    send_signal(saga.pk, "picked_up", 7, message_id="m1")
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert saga.state["steps"][1]["output"] == 7
    assert "signals" not in saga.state


def test_a_signal_that_is_sent_twice_counts_once(begin: Any) -> None:
    """Edge case 8."""
    saga = begin(signal())

    send_signal(saga.pk, "picked_up", 1, message_id="m1")

    assert send_signal(saga.pk, "picked_up", 2, message_id="m1") == "repeated"
    saga.refresh_from_db()
    assert saga.state["steps"][1]["output"] == 1


def test_a_signal_waits_while_the_saga_is_paused(driver: Driver, begin: Any) -> None:
    """Edge case 22."""
    saga = begin(signal())
    perform(Verb.PAUSE, saga.pk, order())

    send_signal(saga.pk, "picked_up", 1, message_id="m1")
    saga.refresh_from_db()
    assert saga.state["steps"][1]["status"] == "waiting"

    perform(Verb.RESUME, saga.pk, order())
    assert go_on(driver, saga).status == "completed"


def test_a_signal_nobody_can_use_is_refused(begin: Any) -> None:
    saga = begin(signal())

    with pytest.raises(SignalRefused, match="it does for: picked_up"):
        send_signal(saga.pk, "delivered", message_id="m1")
    with pytest.raises(SagaNotFound):
        send_signal(uuid.uuid4(), "picked_up", message_id="m1")
    perform(Verb.CANCEL, saga.pk, order())
    saga.refresh_from_db()
    assert saga.status == "compensating"


def test_a_signal_for_a_saga_that_has_ended_is_refused(driver: Driver, begin: Any) -> None:
    """Edge case 11."""
    saga = begin(signal())
    send_signal(saga.pk, "picked_up", message_id="m1")
    go_on(driver, saga)

    with pytest.raises(SignalRefused, match="completed"):
        send_signal(saga.pk, "picked_up", message_id="m2")


def test_only_so_many_signals_are_kept(begin: Any) -> None:
    definition = store(make_step("A"), signal())
    saga = make_saga(definition)
    for number in range(MAX_UNTAKEN):
        send_signal(saga.pk, "picked_up", message_id=f"m{number}")

    with pytest.raises(SignalRefused, match="wait already"):
        send_signal(saga.pk, "picked_up", message_id="one more")


def test_a_signal_that_does_not_come_fails_the_step(driver: Driver, begin: Any) -> None:
    saga = begin(signal(within_s=60))

    go_on(driver, saga, 61)

    assert saga.status == "compensated"
    assert saga.error_message == "The signal picked_up did not come within 60 s."
    assert [line for line in journal_of(saga) if line.startswith("undo")] == [
        "undo_succeeded A",
    ]


def test_a_signal_that_does_not_come_may_be_done_without(driver: Driver, begin: Any) -> None:
    saga = begin(signal(within_s=60, on_timeout=OnTimeout.CONTINUE))

    assert go_on(driver, saga, 61).status == "completed"


def test_a_saga_may_wait_for_ever_and_is_looked_at_now_and_then(driver: Driver, begin: Any) -> None:
    saga = begin(signal())

    go_on(driver, saga, 10_000)

    assert saga.status == "running"
    assert saga.due_at is not None


def test_an_approval_is_given_by_a_person(driver: Driver, begin: Any) -> None:
    saga = begin(approval())

    perform(Verb.APPROVE, saga.pk, order("looks right"), Details("Wait"))
    go_on(driver, saga)

    assert saga.status == "completed"
    assert saga.state["steps"][1]["output"] == {"by": "system", "reason": "looks right"}


def test_a_rejection_compensates(driver: Driver, begin: Any) -> None:
    saga = begin(approval())

    perform(Verb.REJECT, saga.pk, order("too dear"), Details("Wait"))
    go_on(driver, saga)

    assert saga.status == "compensated"
    assert "too dear" in saga.error_message


def test_only_members_of_the_group_decide(begin: Any) -> None:
    saga = begin(approval(approvers="managers"))
    clerk, manager = (User.objects.create_user(name) for name in ("clerk", "manager"))
    manager.groups.add(Group.objects.create(name="managers"))

    with pytest.raises(IllegalVerb, match="managers"):
        perform(Verb.APPROVE, saga.pk, Order(clerk, "mine", "r1"), Details("Wait"))
    perform(Verb.APPROVE, saga.pk, Order(manager, "fine", "r2"), Details("Wait"))


def test_nobody_decides_in_time(driver: Driver, begin: Any) -> None:
    saga = begin(approval(within_s=60))

    assert go_on(driver, saga, 61).status == "compensated"
    assert saga.error_message == "Nobody decided within 60 s."


def test_run_now_ends_a_timer(driver: Driver, begin: Any) -> None:
    saga = begin(timer(wait_s=600))

    perform(Verb.RUN_NOW, saga.pk, order())

    assert go_on(driver, saga).status == "completed"


def test_cancelling_does_not_wait_for_a_timer(driver: Driver, begin: Any) -> None:
    saga = begin(timer(wait_s=600))

    perform(Verb.CANCEL, saga.pk, order())

    assert go_on(driver, saga).status == "compensated"
    assert saga.state["steps"][1]["status"] == "not_needed"


def test_the_saga_s_deadline_cuts_a_wait_off(driver: Driver, begin: Any) -> None:
    saga = begin(signal(), timeout_s=120.0)

    assert go_on(driver, saga, 121).status == "compensated"


def test_a_wait_can_be_skipped(driver: Driver, begin: Any) -> None:
    saga = begin(signal())

    perform(Verb.SKIP, saga.pk, order(), Details("Wait", output={"by": "hand"}))
    go_on(driver, saga)

    assert saga.status == "completed"
    assert saga.state["steps"][1]["output"] == {"by": "hand"}


@pytest.mark.parametrize(("amount", "done"), [(50, ["doA", "doB"]), (500, ["doA", "doC", "doB"])])
def test_a_step_is_skipped_unless_its_condition_holds(
    driver: Driver, amount: int, done: list[str]
) -> None:
    definition = store(make_step("A"), make_step("C", when="input.amount > `100`"), make_step("B"))
    script = Script().register(definition)
    saga = start(definition.name, {"amount": amount}, business_key="order-1").saga_id

    driver.drive()

    assert Saga.objects.get(pk=saga).status == "completed"
    assert script.actions == done


def test_a_skipped_step_is_not_undone(driver: Driver) -> None:
    definition = store(make_step("A", when="input.never"), make_step("B"))
    script = Script(doB=[RuntimeError("no")]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert "undoA" not in script.actions


def test_a_condition_reads_what_steps_before_returned(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B", when="outputs.A.did == 'doA'"))
    script = Script().register(definition)
    make_saga(definition)

    driver.drive()

    assert script.actions == ["doA", "doB"]


def test_a_mapping_makes_what_a_participant_is_given(driver: Driver) -> None:
    definition = store(
        make_step("A", output="seat"),
        make_step(
            "B", input={"order": "input.id", "seat": "outputs.A", "key": "saga.business_key"}
        ),
    )
    script = Script(doA=[{"seat": "4A", "internal": 1}]).register(definition)
    start(definition.name, {"id": 42}, business_key="order-42")

    driver.drive()

    assert script.calls[1].input == {"order": 42, "seat": "4A", "key": "order-42"}
    assert script.calls[1].outputs == {"A": "4A"}


def test_a_mapping_that_cannot_be_made_fails_the_step_before_anything_is_sent(
    driver: Driver,
) -> None:
    definition = store(make_step("A"), make_step("B", input="sum(input.prices)"))
    script = Script().register(definition)
    saga = make_saga(definition, input={"prices": "none"})

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert "sum(input.prices)" in saga.error_message
    assert script.actions == ["doA", "undoA"]
