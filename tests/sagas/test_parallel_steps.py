"""Steps that go side by side: fork, join, one branch failing, answers in any order."""

from __future__ import annotations

import itertools
import threading

import pytest

from sagas.core.definition import Definition, OnFailure
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.models import Participant, Saga
from sagas.replies import take_reply
from sagas.verbs import Order, perform
from tests.builders import (
    QUICK,
    Script,
    drive_on,
    journal_of,
    let_pass,
    make_participant,
    make_saga,
    make_step,
    no,
    store,
)
from tests.sagas.http_service import Got, HttpService, Reply

pytestmark = pytest.mark.django_db

NO = Reply(409, {"error": {"code": "sold_out", "message": "Nothing left."}})


def fork_and_join(**overrides: object) -> Definition:
    """A, then B and C side by side, then D."""
    return store(
        make_step("A", retry=QUICK),
        make_step("B", retry=QUICK),
        make_step("C", retry=QUICK, after=(0,)),
        make_step("D", retry=QUICK, after=(1, 2)),
        **overrides,
    )


@pytest.fixture
def far(service: HttpService) -> HttpService:
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    return service


def test_branches_are_in_the_air_at_the_same_time(driver: Driver, far: HttpService) -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(got: Got) -> Reply:
        both.wait()
        return Reply(200, {"met": True})

    far.plays("doB", meet).plays("doC", meet)
    saga = make_saga(fork_and_join())

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert far.actions[0] == "doA"
    assert far.actions[3] == "doD"
    assert saga.state["steps"][1]["output"] == saga.state["steps"][2]["output"] == {"met": True}


def test_local_branches_are_done_one_after_the_other(driver: Driver) -> None:
    definition = fork_and_join()
    script = Script().register(definition)

    saga = make_saga(definition)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert script.actions == ["doA", "doB", "doC", "doD"]


def test_local_and_far_branches_go_side_by_side(driver: Driver, far: HttpService) -> None:
    definition = store(
        make_step("Far", retry=QUICK),
        make_step("Near", participant="Near", after=()),
        make_step("Last", participant="Near", after=(0, 1)),
    )
    near_done = threading.Event()

    def after_near(got: Got) -> Reply:
        assert near_done.wait(10)
        return Reply(200, {})

    far.plays("doFar", after_near)
    script = Script("Near", doNear=[lambda call: near_done.set()]).register(definition)

    saga = make_saga(definition)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert script.actions == ["doNear", "doLast"]


def test_one_branch_fails_and_its_sibling_finishes_before_the_undo(
    driver: Driver, far: HttpService
) -> None:
    """Edge case 27: siblings stop or finish, then undo in reverse order of start."""
    refused = threading.Event()

    def refuse(got: Got) -> Reply:
        refused.set()
        return NO

    def succeed_later(got: Got) -> Reply:
        assert refused.wait(10)
        return Reply(200, {})

    far.plays("doB", refuse).plays("doC", succeed_later)
    saga = make_saga(fork_and_join())

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert far.actions[3:] == ["undoC", "undoA"]
    undone = [line for line in journal_of(saga) if line.startswith("undo_succeeded")]
    assert undone == ["undo_succeeded C", "undo_succeeded A"]


def test_a_sibling_in_back_off_is_not_tried_again(driver: Driver, far: HttpService) -> None:
    """Edge case 27."""
    sent = threading.Barrier(2, timeout=10)

    def busy(got: Got) -> Reply:
        sent.wait()
        return Reply(503, {}, {"Retry-After": "60"})

    def refuse(got: Got) -> Reply:
        sent.wait()
        return NO

    far.plays("doB", refuse).plays("doC", busy)
    saga = make_saga(fork_and_join())

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert far.actions.count("doC") == 1
    assert far.actions[3:] == ["undoA"]


@pytest.mark.parametrize("order", list(itertools.permutations("BCD")), ids="".join)
def test_replies_out_of_order_lead_to_the_same_state(
    driver: Driver, far: HttpService, order: tuple[str, ...]
) -> None:
    """Edge case 9."""
    definition = store(
        make_step("A", retry=QUICK),
        *(make_step(name, retry=QUICK, after=(0,)) for name in "BCD"),
        make_step("E", retry=QUICK, after=(1, 2, 3)),
    )
    for name in "BCD":
        far.plays(f"do{name}", Reply(202))
    saga = make_saga(definition)
    driver.drive()

    for name in order:
        told = {
            "message_id": f"reply of {name}",
            "correlation_id": f"{saga.pk}/{name}/do",
            "outcome": "succeeded",
            "output": {"by": name},
        }
        assert take_reply(told) == "recorded"
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "completed"
    outputs = [step["output"] for step in saga.state["steps"][1:4]]
    assert outputs == [{"by": "B"}, {"by": "C"}, {"by": "D"}]
    assert [step["order"] for step in saga.state["steps"]] == [1, 2, 3, 4, 5]


def test_a_retry_starts_every_failed_branch_again(driver: Driver, far: HttpService) -> None:
    """Edge case 38: all of them, not the last."""
    sent = threading.Barrier(2, timeout=10)

    def refuse(got: Got) -> Reply:
        sent.wait()
        return NO

    far.plays("doB", refuse).plays("doC", refuse)
    saga = make_saga(fork_and_join(on_failure=OnFailure.PARK))
    driver.drive()
    saga.refresh_from_db()
    assert saga.status == "failed"

    perform(Verb.RETRY, saga.pk, Order(None, "seats again", "request 1"))
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert sorted(far.keys[3:5]) == ["B/do/2", "C/do/2"]


def test_a_retry_of_one_branch_comes_while_the_other_one_is_in_the_air(
    driver: Driver, far: HttpService
) -> None:
    """A held saga is looked at again when a time comes, not only when a call lands."""
    repeated = threading.Event()

    def wait_for_sibling(got: Got) -> Reply:
        assert repeated.wait(10)
        return Reply(200, {})

    def succeed(got: Got) -> Reply:
        repeated.set()
        return Reply(200, {})

    far.plays("doB", wait_for_sibling).plays("doC", Reply(503, {}), succeed)
    saga = make_saga(fork_and_join())

    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"


def test_both_branches_are_asked_again_when_their_replies_are_overdue(
    driver: Driver, far: HttpService
) -> None:
    saga = make_saga(fork_and_join())
    far.plays("doB", Reply(202)).plays("doC", Reply(202))
    driver.drive()
    saga.refresh_from_db()
    assert saga.due_at is not None

    let_pass(saga, 40)
    driver.drive()
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "completed"
    lines = journal_of(saga)
    assert lines.count("step_unknown B") == lines.count("step_unknown C") == 1


def test_a_pause_stops_both_branches(driver: Driver) -> None:
    """Edge case 22."""
    definition = fork_and_join()
    script = Script(doA=[lambda call: None]).register(definition)
    saga = make_saga(definition)
    perform(Verb.PAUSE, saga.pk, Order(None, "wait", "request 1"))

    driver.drive()
    assert script.actions == []

    perform(Verb.RESUME, saga.pk, Order(None, "go", "request 2"))
    drive_on(driver, saga)
    saga.refresh_from_db()
    assert saga.status == "completed"


def test_no_failed_branch_is_forgotten_when_the_saga_parks(driver: Driver) -> None:
    definition = fork_and_join(on_failure=OnFailure.PARK)
    Script(doB=[no("first")]).register(definition)

    saga = make_saga(definition)
    driver.drive()

    saga.refresh_from_db()
    assert (saga.status, saga.failed_step, saga.error_message) == ("failed", "B", "first")
    assert Saga.objects.get(pk=saga.pk).state["steps"][2] == {}
