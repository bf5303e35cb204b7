"""Two at one saga: stalled workers, operators between deciding and recording, deadlocks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.exceptions import VersionConflict
from sagas.models import Participant, Saga
from sagas.participants.calls import Call
from sagas.verbs import Order, perform
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
from tests.sagas.http_service import HttpService, Reply
from tests.sagas.rivals import (
    Rival,
    end_lease,
    order_from_elsewhere,
    rival,
    wait_until_blocked,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other() -> Iterator[Rival]:
    with rival() as other:
        yield other


def drive_once() -> None:
    """Drive what is due with a worker of its own."""
    driver = Driver(batch_size=50, concurrency=4)
    driver.drive()
    driver.close()


def status_of(saga: Saga) -> str:
    saga.refresh_from_db()
    return saga.status


def http_definition(service: HttpService, *steps: Any, **overrides: Any) -> Any:
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    return store(*(steps or (make_step("A"), make_step("B"))), **overrides)


def test_a_worker_that_was_overtaken_writes_nothing(driver: Driver, other: Rival) -> None:
    """Edge cases 12 and 13."""
    definition = store(make_step("A"), make_step("B"), make_step("C"))
    saga: Saga

    def stall(call: Call) -> dict[str, str]:
        end_lease_elsewhere(other, saga)
        other.do(drive_once)
        return {"by": "stalled"}

    Script(doB=[stall]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    assert status_of(saga) == "completed"
    assert saga.epoch == 2
    assert saga.state["steps"][1]["output"] == {"did": "doB"}
    assert journal_of(saga) == [
        "step_succeeded A",
        "step_succeeded B",
        "step_succeeded C",
        "saga_completed",
    ]


def end_lease_elsewhere(other: Rival, saga: Saga) -> None:
    other.do(lambda: end_lease(saga))


def test_what_an_overtaken_worker_wrote_for_its_callable_is_undone(
    driver: Driver, other: Rival
) -> None:
    """Edge case 13."""
    definition = store(make_step("A"), make_step("B"))

    def write(call: Call) -> None:
        Group.objects.create(name=f"by {len(script.calls)}")
        if len(script.calls) == 2:
            end_lease_elsewhere(other, Saga.objects.get())
            other.do(drive_once)

    script = Script(doB=[write, write]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    assert status_of(saga) == "completed"
    assert list(Group.objects.filter(name__startswith="by ").values_list("name", flat=True)) == [
        "by 3"
    ]


def test_an_answer_of_an_overtaken_worker_is_kept_as_a_late_one(
    driver: Driver, other: Rival, service: HttpService
) -> None:
    """Edge cases 12 and 13."""
    # Longer than a slow machine needs here: nobody comes to the next attempt by himself.
    retry = QUICK._replace(initial_s=60.0, cap_s=60.0)
    definition = http_definition(service, make_step("A", retry=retry), make_step("B"))
    saga = make_saga(definition)

    def overtake(got: Any) -> Reply:
        end_lease_elsewhere(other, saga)
        other.do(drive_once)
        return Reply(body={"by": "stalled"})

    service.plays("doA", overtake)
    driver.drive()
    assert journal_of(saga) == ["step_sent A", "step_unknown A", "late_reply A"]
    let_pass(saga, 61)
    driver.drive()

    assert status_of(saga) == "completed"
    assert saga.state["steps"][0]["output"] == {"did": "doA"}
    assert service.keys[:2] == ["A/do", "A/do"]


def test_a_lost_worker_s_call_is_repeated_with_the_same_key(
    driver: Driver, service: HttpService
) -> None:
    """Edge cases 1 and 12."""
    definition = http_definition(service, make_step("A", retry=QUICK), make_step("B"))
    saga = make_saga(definition)
    die_before_recording_an_answer(service, "doA")
    assert saga_row(saga) == ("running", 1)

    end_lease(saga)
    driver.drive()
    let_pass(saga, 1)
    driver.drive()

    assert status_of(saga) == "completed"
    assert journal_of(saga)[:3] == ["step_sent A", "step_unknown A", "step_sent A"]
    assert service.keys == ["A/do", "A/do", "B/do"]


def saga_row(saga: Saga) -> tuple[str, int]:
    saga.refresh_from_db()
    return saga.status, saga.epoch


class Death(BaseException):
    """The worker is gone."""


def die_before_recording_an_answer(service: HttpService, action: str) -> None:
    """Drive until the answer to this action is there, and die without a word."""
    victim = Driver()

    def die(*args: Any, **options: Any) -> Any:
        raise Death

    def arrived(got: Any) -> Reply:
        victim._performer.perform = die  # type: ignore[method-assign]
        return Reply(body={"by": "lost"})

    service.plays(action, arrived)
    with pytest.raises(Death):
        victim.drive()
    victim.close()


@pytest.mark.parametrize(
    ("policy", "status"), [("retry", "running"), ("compensate", "compensated"), ("park", "failed")]
)
def test_a_lost_call_follows_the_policy_of_its_step(
    driver: Driver, service: HttpService, policy: str, status: str
) -> None:
    """Edge case 1."""
    definition = http_definition(
        service, make_step("A", retry=QUICK._replace(initial_s=60, cap_s=60), on_unknown=policy)
    )
    saga = make_saga(definition)
    die_before_recording_an_answer(service, "doA")

    end_lease(saga)
    driver.drive()

    assert status_of(saga) == status
    assert service.keys == (["A/do", "A/undo"] if policy == "compensate" else ["A/do"])


def test_a_lost_undo_is_repeated_with_the_same_key(driver: Driver, service: HttpService) -> None:
    definition = http_definition(service)
    service.plays("doB", Reply(409, {"error": {"code": "no", "message": "No."}}))
    saga = make_saga(definition)
    die_before_recording_an_answer(service, "undoA")

    end_lease(saga)
    driver.drive()
    let_pass(saga, 1)
    driver.drive()

    assert status_of(saga) == "compensated"
    assert service.keys == ["A/do", "B/do", "A/undo", "A/undo"]


def test_the_lease_of_a_saga_whose_call_takes_long_is_renewed(
    driver: Driver, other: Rival, service: HttpService
) -> None:
    definition = http_definition(service)
    saga = make_saga(definition)

    def outlast_half_of_the_lease(got: Any) -> Reply:
        before = lease_of(saga)
        driver._renewed_at = float("-inf")
        give_up_at = time.monotonic() + 20
        while lease_of(saga) == before and time.monotonic() < give_up_at:
            pass
        return Reply(body={"renewed": lease_of(saga) > before})

    service.plays("doA", lambda got: other.do(lambda: outlast_half_of_the_lease(got)))
    driver.drive()

    assert saga_row(saga) == ("completed", 1)
    assert saga.state["steps"][0]["output"] == {"renewed": True}


def lease_of(saga: Saga) -> datetime:
    due_at = Saga.objects.values_list("due_at", flat=True).get(pk=saga.pk)
    assert due_at is not None
    return due_at


def test_two_workers_never_take_the_same_saga(driver: Driver, other: Rival) -> None:
    """Edge case 33."""
    definition = store(make_step("A"))

    def let_the_other_look(call: Call) -> None:
        if len(script.calls) == 1:
            other.do(drive_once)

    script = Script(doA=[let_the_other_look]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    assert saga_row(saga) == ("completed", 0)
    assert len(script.calls) == 1


@pytest.mark.parametrize("touched", [False, True])
def test_a_pause_while_a_callable_runs_starts_nothing_new(driver: Driver, touched: bool) -> None:
    """Edge case 22."""
    definition = store(make_step("A"), make_step("B"), make_step("C"))
    saga: Saga

    def pause(call: Call) -> dict[str, bool]:
        if touched:
            Group.objects.create(name="by B")
        order_from_elsewhere(Verb.PAUSE, saga)
        return {"first": True}

    script = Script(doB=[pause]).register(definition)
    saga = make_saga(definition)

    driver.drive()
    saga.refresh_from_db()
    assert (saga.status, saga.paused, saga.due_at) == ("running", True, None)
    assert script.actions == ["doA", "doB"]
    assert not Group.objects.filter(name="by B").exists()
    order_from_elsewhere(Verb.RESUME, saga)
    driver.drive()

    # What a callable wrote was rolled back with the batch, so it runs once more.
    assert status_of(saga) == "completed"
    assert script.actions == ["doA", "doB", *(["doB"] if touched else []), "doC"]


@pytest.mark.parametrize("touched", [False, True])
def test_a_cancel_while_a_callable_runs_undoes_what_it_did(driver: Driver, touched: bool) -> None:
    """Edge case 20."""
    definition = store(make_step("A"), make_step("B"), make_step("C"))
    saga: Saga

    def cancel(call: Call) -> dict[str, bool]:
        if touched:
            Group.objects.create(name="by B")
        order_from_elsewhere(Verb.CANCEL, saga)
        return {}

    script = Script(doB=[cancel]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    assert status_of(saga) == "compensated"
    assert script.actions == ["doA", "doB", "undoB", "undoA"]
    assert not Group.objects.filter(name="by B").exists()


def test_a_cancel_while_the_first_callable_runs_undoes_it_although_it_had_ended(
    driver: Driver, service: HttpService
) -> None:
    """Nothing had succeeded when the operator cancelled, so the saga had ended at once."""
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    definition = store(
        make_step("A", participant="Here"), make_step("B"), make_step("C", participant="Here")
    )
    sagas: list[Saga] = []
    here = Script("Here", doA=[lambda call: order_from_elsewhere(Verb.CANCEL, sagas[0])])
    here.register(definition)
    sagas.append(make_saga(definition))
    take_before_performing(driver)

    driver.drive()

    assert status_of(sagas[0]) == "compensated"
    assert here.actions == ["doA", "undoA"]
    assert journal_of(sagas[0])[:3] == ["cancelled", "compensation_began", "saga_compensated"]


def take_before_performing(driver: Driver) -> None:
    """Let the driver lease what is due and perform it in its next transaction."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sagas.engine.rounds.PERFORM_S", -1.0)
        driver._round(50, give_back=False)


def test_a_cancel_that_another_worker_carries_out_undoes_a_running_callable_too(
    driver: Driver, other: Rival
) -> None:
    """Edge cases 12 and 13: the overtaken worker's result advances nothing, and is not lost."""
    definition = store(make_step("A"), make_step("B"), make_step("C"))
    saga: Saga

    def be_overtaken(call: Call) -> dict[str, bool]:
        order_from_elsewhere(Verb.CANCEL, saga)
        other.do(drive_once)
        return {}

    script = Script(doB=[be_overtaken]).register(definition)
    saga = make_saga(definition)

    driver.drive()
    driver.drive()

    assert status_of(saga) == "compensated"
    assert sorted(script.actions) == ["doA", "doB", "undoA", "undoB"]


def test_a_verb_on_one_saga_of_a_batch_costs_the_others_nothing(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B"), make_step("C"))
    sagas: list[Saga] = []

    def pause_the_second(call: Call) -> None:
        if call.business_key == "order-0":
            order_from_elsewhere(Verb.PAUSE, sagas[1])

    script = Script(doB=[pause_the_second] * 3).register(definition)
    sagas += [make_saga(definition, key=f"order-{number}") for number in range(3)]

    driver.drive()

    assert [status_of(saga) for saga in sagas] == ["completed", "running", "completed"]
    assert sorted(script.actions) == ["doA"] * 3 + ["doB"] * 3 + ["doC"] * 2


def test_a_pause_while_a_call_is_in_the_air_lets_it_land(
    driver: Driver, service: HttpService
) -> None:
    """Edge case 22."""
    definition = http_definition(service)
    saga = make_saga(definition)
    service.plays("doA", during(lambda: order_from_elsewhere(Verb.PAUSE, saga)))

    driver.drive()
    saga.refresh_from_db()
    assert (saga.status, saga.paused, saga.due_at) == ("running", True, None)
    assert journal_of(saga) == ["step_sent A", "paused", "step_succeeded A"]
    order_from_elsewhere(Verb.RESUME, saga)
    driver.drive()

    assert status_of(saga) == "completed"
    assert service.actions == ["doA", "doB"]


def during(work: Any) -> Any:
    """Return an outcome that does this while the call is in the air, and then succeeds."""

    def answer(got: Any) -> Reply:
        work()
        return Reply(body={"did": got.action})

    return answer


def test_pause_and_resume_while_a_call_is_in_the_air_change_nothing(
    driver: Driver, service: HttpService
) -> None:
    """Edge case 22."""
    definition = http_definition(service)
    saga = make_saga(definition)

    def blink() -> None:
        order_from_elsewhere(Verb.PAUSE, saga)
        order_from_elsewhere(Verb.RESUME, saga)

    service.plays("doA", during(blink))
    driver.drive()

    assert saga_row(saga) == ("completed", 1)
    assert service.actions == ["doA", "doB"]


def test_a_cancel_while_a_call_is_in_the_air_undoes_it_once_it_has_landed(
    driver: Driver, service: HttpService
) -> None:
    definition = http_definition(service)
    saga = make_saga(definition)
    service.plays("doA", during(lambda: order_from_elsewhere(Verb.CANCEL, saga)))

    driver.drive()

    assert status_of(saga) == "compensated"
    assert service.actions == ["doA", "undoA"]


def test_a_worker_keeps_its_lease_after_a_verb_that_it_did_not_expect(
    driver: Driver, other: Rival, service: HttpService
) -> None:
    """Otherwise the next worker would call the step's outcome unknown while it is in the air."""
    definition = http_definition(
        service,
        make_step("A", participant="Here"),
        make_step("B", participant="Here"),
        make_step("C"),
    )
    saga: Saga

    def blink(call: Call) -> None:
        order_from_elsewhere(Verb.PAUSE, saga)
        order_from_elsewhere(Verb.RESUME, saga)

    Script("Here", doB=[blink]).register(definition)
    service.plays("doC", during(lambda: other.do(drive_once)))
    saga = make_saga(definition)

    driver.drive()

    assert status_of(saga) == "completed"
    assert service.actions == ["doC"]
    assert "step_unknown C" not in journal_of(saga)


def test_a_verb_is_refused_when_the_engine_was_faster(driver: Driver) -> None:
    """Edge case 20."""
    definition = store(make_step("A"), on_failure="park")
    Script(doA=[no()]).register(definition)
    saga = make_saga(definition)
    seen = saga.version
    driver.drive()

    with pytest.raises(VersionConflict):
        perform(Verb.RETRY, saga.pk, Order(None, "again", "r1", version=seen))

    assert status_of(saga) == "failed"


def test_a_deadlock_with_an_operator_costs_a_round_and_nothing_else(
    driver: Driver, other: Rival
) -> None:
    definition = store(make_step("A"), make_step("B"))
    saga: Saga

    def lock_saga_then_wait() -> None:
        with transaction.atomic():
            Saga.objects.select_for_update().get(pk=saga.pk)
            locked.append(True)
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL deadlock_timeout = '20s'")
                cursor.execute("SELECT pg_advisory_xact_lock(7)")

    locked: list[bool] = []
    waiting: list[Any] = []

    def cross(call: Call) -> None:
        if waiting:
            return
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '1ms'")
            cursor.execute("SELECT pg_advisory_xact_lock(7)")
        waiting.append(other.begin(lock_saga_then_wait))
        wait_until_blocked()

    script = Script(doB=[cross, cross]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    waiting[0].result(20)
    assert locked
    assert status_of(saga) == "completed"
    assert script.actions == ["doA", "doB", "doB"]
