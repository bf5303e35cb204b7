"""Locks that sagas hold by name, so that no two of them work on the same thing."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models import F

from sagas import catalogue
from sagas.checking import stray_locks
from sagas.core.definition import OnFailure, OnLocked, Step, StepType
from sagas.core.verbs import Verb
from sagas.definitions import read_yaml
from sagas.engine import lock_statements, locks, recording
from sagas.engine.driver import Driver
from sagas.locks import release_lock
from sagas.models import LockWait, Saga, SagaLock
from sagas.participants.calls import Call
from sagas.signals import send_signal
from sagas.verbs import Details, Order, perform
from tests.builders import Script, drive_on, journal_of, let_pass, make_saga, make_step, no, store
from tests.sagas.locking import begin, crossing, locked, waiting
from tests.sagas.rivals import order_from_elsewhere, rival

pytestmark = pytest.mark.django_db


def let_go(driver: Driver, *sagas: Saga) -> None:
    """Let sagas go on from the step in which they wait."""
    for saga in sagas:
        send_signal(saga.pk, "go", message_id=str(uuid.uuid4()))
    look(driver, *sagas)


def look(driver: Driver, *sagas: Saga) -> None:
    drive_on(driver, *Saga.objects.filter(pk__in=[saga.pk for saga in sagas]))
    for saga in sagas:
        saga.refresh_from_db()


def order(verb: Verb, saga: Saga, **details: Any) -> None:
    perform(verb, saga.pk, Order(None, "because", str(uuid.uuid4())), Details(**details))
    saga.refresh_from_db()


def holders() -> dict[str, uuid.UUID]:
    return dict(SagaLock.objects.values_list("name", "saga_id"))


def queue() -> list[uuid.UUID]:
    return list(LockWait.objects.order_by("since", "saga_id").values_list("saga_id", flat=True))


def status_of(saga: Saga) -> str:
    saga.refresh_from_db()
    return saga.status


@pytest.fixture
def script() -> Script:
    return Script()


# Waiting and going on --------------------------------------------------------------------------


def test_a_second_saga_waits_until_the_first_has_ended(driver: Driver, script: Script) -> None:
    definition = locked()
    script.register(definition)
    first, second = begin(definition), begin(definition)
    driver.drive()
    assert journal_of(second) == ["lock_awaited A"]
    assert script.actions == ["doA"]

    let_go(driver, first)

    assert status_of(first) == "completed"
    assert holders() == {"order:1": second.pk}
    assert queue() == []
    assert script.actions == ["doA", "doB", "doA"]


def test_other_names_are_other_locks(driver: Driver, script: Script) -> None:
    definition = locked()
    script.register(definition)
    first, second = begin(definition, 1), begin(definition, 2)

    driver.drive()

    assert holders() == {"order:1": first.pk, "order:2": second.pk}


def test_sagas_of_different_definitions_exclude_each_other(driver: Driver, script: Script) -> None:
    place, cancel = locked(name="place"), locked(name="cancel")
    script.register(place).register(cancel)
    first, second = begin(place), begin(cancel)

    driver.drive()

    assert holders() == {"order:1": first.pk}
    assert queue() == [second.pk]


def test_whoever_waits_longest_is_next_and_nobody_else_is_looked_at(
    driver: Driver, script: Script
) -> None:
    definition = locked()
    script.register(definition)
    sagas = [begin(definition) for _ in range(4)]
    driver.drive()
    look(driver, *sagas)
    before = [(saga.due_at, saga.version) for saga in sagas[2:]]

    let_go(driver, sagas[0])

    for saga in sagas[2:]:
        saga.refresh_from_db()
    assert holders() == {"order:1": sagas[1].pk}
    assert queue() == [saga.pk for saga in sagas[2:]]
    assert [saga.version for saga in sagas[2:]] == [version for _, version in before]
    assert [saga.due_at for saga in sagas[2:]] == [due_at for due_at, _ in before]


def test_a_queue_is_worked_off_in_its_order(driver: Driver, script: Script) -> None:
    definition = locked(make_step("A"))
    script.register(definition)
    sagas = [begin(definition) for _ in range(5)]

    driver.drive()

    assert {status_of(saga) for saga in sagas} == {"completed"}
    assert [call.saga_id for call in script.calls] == [saga.pk for saga in sagas]
    assert holders() == {}
    assert queue() == []


def test_a_saga_that_waits_looks_again_after_a_second_and_then_every_minute(
    driver: Driver, script: Script
) -> None:
    definition = locked()
    script.register(definition)
    _, second = begin(definition), begin(definition)
    driver.drive()
    second.refresh_from_db()
    assert 0 < (second.due_at - second.updated_at).total_seconds() <= 1.5

    look(driver, second)

    assert 59 < (second.due_at - second.updated_at).total_seconds() <= 61
    assert journal_of(second) == ["lock_awaited A"]


def test_a_lost_wake_up_costs_at_most_a_look(driver: Driver, script: Script) -> None:
    definition = locked()
    script.register(definition)
    _, second = begin(definition), begin(definition)
    driver.drive()
    SagaLock.objects.all().delete()

    look(driver, second)

    assert holders() == {"order:1": second.pk}
    assert queue() == []


def test_a_step_takes_its_lock_before_it_begins_and_no_sooner(
    driver: Driver, script: Script
) -> None:
    definition = locked(make_step("A"), waiting(), make_step("B", locks=("stock",)), locks=())
    script.register(definition)
    saga = begin(definition)
    driver.drive()
    assert holders() == {}
    SagaLock.objects.create(name="stock", saga=begin(store(waiting(), name="other")), step="X")

    let_go(driver, saga)

    assert script.actions == ["doA"]
    assert journal_of(saga)[-1] == "lock_awaited B"


def test_all_locks_of_a_step_are_taken_and_it_waits_for_the_first_that_is_not_free(
    driver: Driver, script: Script
) -> None:
    definition = locked(locks=("c", "a", "b"))
    script.register(definition)
    SagaLock.objects.create(name="b", saga=begin(store(waiting(), name="other")), step="X")
    saga = begin(definition)

    driver.drive()

    assert [name for name, holder in holders().items() if holder == saga.pk] == ["a"]
    saga.refresh_from_db()
    assert saga.state["steps"][0]["blocked"]["lock"] == "b"


def test_other_branches_go_on_while_one_waits_for_its_lock(driver: Driver, script: Script) -> None:
    definition = store(
        make_step("A", after=(), locks=("stock",)),
        make_step("B", after=()),
        make_step("C", after=(1,)),
        make_step("D", after=(0, 2)),
    )
    script.register(definition)
    hoarding = locked(make_step("A"), waiting(), name="hoarding", locks=("stock",))
    script.register(hoarding)
    holder = begin(hoarding)
    driver.drive()
    saga = begin(definition)

    driver.drive()
    look(driver, saga)
    assert script.actions == ["doA", "doB", "doC"]
    let_go(driver, holder)

    assert status_of(saga) == "completed"
    assert script.actions == ["doA", "doB", "doC", "doA", "doD"]


def test_a_saga_without_locks_asks_for_none(
    driver: Driver, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = store()
    script.register(definition)
    saga = make_saga(definition)
    for name in ("_rows", "_run"):
        monkeypatch.setattr(lock_statements, name, None)

    driver.drive()

    assert status_of(saga) == "completed"


def test_a_batch_takes_its_locks_together(
    driver: Driver, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = locked()
    script.register(definition)
    sagas = [begin(definition, number) for number in range(40)]
    asked: list[str] = []
    rows = lock_statements._rows

    def count(statement: str, *parameters: Any) -> Any:
        asked.append(statement)
        return rows(statement, *parameters)

    monkeypatch.setattr(lock_statements, "_rows", count)

    driver.drive()

    assert len(holders()) == len(sagas)
    assert asked == [lock_statements.HOLDERS, lock_statements.TAKE]


# Refusing and failing --------------------------------------------------------------------------


def test_a_definition_may_refuse_instead_of_waiting(driver: Driver, script: Script) -> None:
    definition = locked(on_locked=OnLocked.REFUSE)
    script.register(definition)
    first, second = begin(definition), begin(definition)

    driver.drive()

    assert status_of(second) == "compensated"
    assert second.error_message == f"Lock order:1 is held by saga {first.pk}."
    assert second.state["cause"]["class"] == "Locked"
    assert holders() == {"order:1": first.pk}
    assert queue() == []


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (None, "gives no text or number"),
        ({"id": 1}, "gives no text or number"),
        ("", "gives no text or number"),
        (True, "gives no text or number"),
        ("x" * 200, "more than 200 characters"),
    ],
)
def test_a_name_that_cannot_be_made_fails_the_step(
    driver: Driver, script: Script, order: Any, why: str
) -> None:
    definition = locked()
    script.register(definition)
    saga = make_saga(definition, input={"order": order})

    driver.drive()

    assert status_of(saga) == "compensated"
    assert saga.state["steps"][0]["error"]["class"] == "InvalidMapping"
    assert why in saga.error_message
    assert holders() == {}


def test_a_saga_that_waits_for_a_lock_still_has_its_time_only(
    driver: Driver, script: Script
) -> None:
    definition = locked(timeout_s=30.0)
    script.register(definition)
    _, second = begin(definition), begin(definition)
    driver.drive()

    for _ in range(32):
        look(driver, second)

    assert second.status == "compensated"
    assert "did not end within its 30 s" in second.error_message
    assert queue() == []


# Ends ------------------------------------------------------------------------------------------


def complete(driver: Driver, saga: Saga) -> None:
    let_go(driver, saga)


def cancel(driver: Driver, saga: Saga) -> None:
    order(Verb.CANCEL, saga)
    look(driver, saga)


def abandon(driver: Driver, saga: Saga) -> None:
    let_go(driver, saga)
    order(Verb.ABANDON, saga)
    look(driver, saga)


@pytest.mark.parametrize(
    ("end", "status", "outcomes"),
    [
        (complete, "completed", {}),
        (cancel, "compensated", {}),
        (abandon, "abandoned", {"doB": [no()], "undoA": [no()]}),
    ],
)
def test_every_end_gives_the_locks_to_who_waits(
    driver: Driver, end: Any, status: str, outcomes: dict[str, Any]
) -> None:
    definition = locked()
    Script(**outcomes).register(definition)
    first, second = begin(definition), begin(definition)
    driver.drive()

    end(driver, first)
    driver.drive()

    assert status_of(first) == status
    assert holders() == {"order:1": second.pk}


def test_a_failed_saga_keeps_its_locks(driver: Driver) -> None:
    definition = locked(on_failure=OnFailure.PARK)
    Script(doB=[no()]).register(definition)
    first, second = begin(definition), begin(definition)
    driver.drive()

    let_go(driver, first)
    look(driver, second)

    assert first.status == "failed"
    assert holders() == {"order:1": first.pk}
    order(Verb.COMPENSATE, first)
    look(driver, first)
    assert holders() == {"order:1": second.pk}


def test_a_failed_saga_goes_on_with_the_lock_it_has_kept(driver: Driver) -> None:
    definition = locked(on_failure=OnFailure.PARK)
    Script(doB=[no()]).register(definition)
    first, second = begin(definition), begin(definition)
    driver.drive()
    let_go(driver, first)

    order(Verb.RETRY, first)
    look(driver, first)

    assert first.status == "completed"
    assert holders() == {"order:1": second.pk}


def test_an_undo_waits_for_no_lock(driver: Driver, script: Script) -> None:
    definition = locked()
    script.register(definition)
    first, second = begin(definition), begin(definition)
    driver.drive()
    let_go(driver, first)
    assert holders() == {"order:1": second.pk}

    order(Verb.COMPENSATE, first)
    look(driver, first)

    assert first.status == "compensated"
    assert holders() == {"order:1": second.pk}


# Operators' verbs ------------------------------------------------------------------------------


def test_a_saga_that_is_cancelled_leaves_the_queue(driver: Driver, script: Script) -> None:
    definition = locked()
    script.register(definition)
    first, second, third = begin(definition), begin(definition), begin(definition)
    driver.drive()

    order(Verb.CANCEL, second)
    look(driver, second)
    let_go(driver, first)

    assert second.status == "compensated"
    assert holders() == {"order:1": third.pk}


def test_a_paused_holder_keeps_its_lock(driver: Driver, script: Script) -> None:
    definition = locked()
    script.register(definition)
    first, second = begin(definition), begin(definition)
    driver.drive()

    order(Verb.PAUSE, first)
    look(driver, second)

    assert holders() == {"order:1": first.pk}
    order(Verb.RESUME, first)
    let_go(driver, first)
    assert holders() == {"order:1": second.pk}


def test_a_paused_saga_holds_up_no_queue_and_keeps_its_place(
    driver: Driver, script: Script
) -> None:
    definition = locked()
    script.register(definition)
    first, second, third, fourth = (begin(definition) for _ in range(4))
    driver.drive()
    order(Verb.PAUSE, second)

    let_go(driver, first)
    assert holders() == {"order:1": third.pk}
    order(Verb.RESUME, second)
    let_go(driver, third)

    assert holders() == {"order:1": second.pk}
    assert queue() == [fourth.pk]


def test_a_saga_that_is_rewound_has_kept_its_locks(driver: Driver, script: Script) -> None:
    script.script["doB"] = [no()]
    definition = locked(on_failure=OnFailure.PARK)
    script.register(definition)
    first, second = begin(definition), begin(definition)
    driver.drive()
    let_go(driver, first)

    order(Verb.REWIND, first, step="A")
    look(driver, first, second)
    assert holders() == {"order:1": first.pk}
    let_go(driver, first)

    assert status_of(first) == "completed"
    assert holders() == {"order:1": second.pk}


def test_a_step_that_is_skipped_keeps_the_locks_of_the_saga(driver: Driver) -> None:
    definition = locked(
        make_step("A"), make_step("B"), waiting(), make_step("C"), on_failure=OnFailure.PARK
    )
    Script(doB=[no()]).register(definition)
    first, second = begin(definition), begin(definition)
    driver.drive()

    order(Verb.SKIP, first, step="B")
    look(driver, first, second)
    assert holders() == {"order:1": first.pk}
    let_go(driver, first)

    assert holders() == {"order:1": second.pk}


def test_a_step_that_is_skipped_by_its_condition_takes_no_lock(
    driver: Driver, script: Script
) -> None:
    definition = locked(make_step("A", when="input.missing", locks=("stock",)), waiting(), locks=())
    script.register(definition)
    begin(definition)

    driver.drive()

    assert holders() == {}


def moved(driver: Driver, target_locks: tuple[str, ...]) -> tuple[Saga, Saga]:
    """Return a saga that was moved to a version with these locks, and one that waits for it."""
    old = locked(on_failure=OnFailure.PARK)
    Script(doB=[no(), no()]).register(old)
    first, second = begin(old), begin(old)
    driver.drive()
    let_go(driver, first)
    locked(on_failure=OnFailure.PARK, locks=target_locks)
    order(Verb.MOVE, first, version=2)
    return first, second


def test_a_saga_that_is_moved_to_a_version_without_locks_gives_them_back(driver: Driver) -> None:
    _, second = moved(driver, ())

    look(driver, second)

    assert holders() == {"order:1": second.pk}


def test_a_saga_that_waits_and_is_moved_to_a_version_without_locks_leaves_the_queue(
    driver: Driver,
) -> None:
    old = locked()
    Script().register(old)
    first, second = begin(old), begin(old)
    driver.drive()
    assert queue() == [second.pk]
    locked(locks=())

    order(Verb.MOVE, second, version=2)

    assert queue() == []
    let_go(driver, first)
    let_go(driver, second)
    assert (status_of(first), status_of(second)) == ("completed", "completed")
    assert holders() == {}


def test_a_saga_that_is_moved_takes_the_locks_of_its_new_version_too(driver: Driver) -> None:
    first, second = moved(driver, ("new:{input.order}",))

    order(Verb.RETRY, first)
    look(driver, first)

    assert holders() == {"order:1": first.pk, "new:1": first.pk}
    assert queue() == [second.pk]


# Deadlocks -------------------------------------------------------------------------------------


def test_of_two_sagas_that_wait_for_each_other_the_younger_gives_way(
    driver: Driver, script: Script
) -> None:
    one, two = crossing("one", "x", "y"), crossing("two", "y", "x")
    script.register(one).register(two)
    older, younger = begin(one), begin(two)
    driver.drive()

    let_go(driver, older, younger)

    assert status_of(younger) == "compensated"
    assert younger.state["cause"] == {
        "step": "B",
        "class": "Deadlock",
        "message": "It would wait for ever for lock x: "
        f"{younger.pk} → [x] → {older.pk} → [y] → {younger.pk}.",
    }
    assert status_of(older) == "completed"
    assert (holders(), queue()) == ({}, [])


def test_the_younger_one_gives_way_although_the_older_one_closes_the_circle(
    driver: Driver, script: Script
) -> None:
    one, two = crossing("one", "x", "y"), crossing("two", "y", "x")
    script.register(one).register(two)
    older, younger = begin(one), begin(two)
    driver.drive()

    let_go(driver, younger)
    assert younger.status == "running"
    let_go(driver, older)

    assert status_of(younger) == "compensated"
    assert status_of(older) == "completed"


@pytest.mark.parametrize("first", [0, 1, 2])
def test_of_three_sagas_in_a_circle_the_youngest_gives_way(
    driver: Driver, script: Script, first: int
) -> None:
    names = "xyz"
    definitions = [crossing(name, name, names[(place + 1) % 3]) for place, name in enumerate(names)]
    sagas = []
    for definition in definitions:
        script.register(definition)
        sagas.append(begin(definition))
    driver.drive()

    for place in range(3):
        let_go(driver, sagas[(first + place) % 3])

    assert [status_of(saga) for saga in sagas] == ["completed", "completed", "compensated"]
    assert sagas[2].state["cause"]["class"] == "Deadlock"
    assert (holders(), queue()) == ({}, [])


def test_who_waits_for_a_circle_is_no_part_of_it(driver: Driver, script: Script) -> None:
    one, two = crossing("one", "x", "y"), crossing("two", "y", "x")
    third = locked(make_step("C"), name="third", locks=("x",))
    script.register(one).register(two).register(third)
    older, younger = begin(one), begin(two)
    driver.drive()
    bystander = begin(third)
    driver.drive()

    let_go(driver, older, younger)

    assert status_of(younger) == "compensated"
    assert (status_of(older), status_of(bystander)) == ("completed", "completed")


def test_a_child_that_wants_its_parent_s_lock_fails(driver: Driver, script: Script) -> None:
    child = locked(make_step("P"), name="child")
    parent = locked(make_step("A"), Step("Sub", "child", "start", "compensate", type=StepType.SAGA))
    script.register(child).register(parent)
    saga = begin(parent)

    driver.drive()
    look(driver, saga, *Saga.objects.all())
    look(driver, saga)

    [inner] = Saga.objects.filter(definition__name="child")
    assert inner.state["cause"]["class"] == "Deadlock"
    assert inner.error_message == (
        f"It would wait for ever for lock order:1: {inner.pk} → [order:1] → {saga.pk} → {inner.pk}."
    )
    assert (inner.status, saga.status) == ("compensated", "compensated")
    assert (holders(), queue()) == ({}, [])


def test_a_child_has_locks_of_its_own(driver: Driver, script: Script) -> None:
    child = locked(make_step("P"), waiting(), name="child", locks=("stock",))
    parent = locked(make_step("A"), Step("Sub", "child", "start", "compensate", type=StepType.SAGA))
    script.register(child).register(parent)
    saga = begin(parent)

    driver.drive()
    look(driver, *Saga.objects.all())

    [inner] = Saga.objects.filter(definition__name="child")
    assert holders() == {"order:1": saga.pk, "stock": inner.pk}


# Several workers, and crashes ------------------------------------------------------------------


def drive_once(**options: Any) -> None:
    driver = Driver(**options)
    driver.drive()
    driver.close()


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_close_a_circle_at_once_find_it_a_second_later(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = crossing("one", "x", "y"), crossing("two", "y", "x")
    Script().register(one).register(two)
    older, younger = begin(one), begin(two)
    driver.drive()
    for saga in (older, younger):
        send_signal(saga.pk, "go", message_id="1")
    write = recording.write
    with rival() as other:

        def let_the_other_wait_first(*args: Any, **options: Any) -> None:
            monkeypatch.setattr(recording, "write", write)
            other.do(drive_once)
            write(*args, **options)

        monkeypatch.setattr(recording, "write", let_the_other_wait_first)
        first = Driver(batch_size=1)
        first.drive()
        first.close()
    assert sorted(queue()) == sorted([older.pk, younger.pk])

    look(driver, older, younger)
    driver.drive()

    assert (status_of(older), status_of(younger)) == ("completed", "compensated")


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_want_the_same_free_lock_give_it_to_one(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = locked()
    Script().register(definition)
    first, second = begin(definition), begin(definition)
    read = lock_statements.holders
    with rival() as other:

        def let_the_other_take_it(names: Any) -> Any:
            found = read(names)
            monkeypatch.setattr(lock_statements, "holders", read)
            other.do(drive_once)
            return found

        monkeypatch.setattr(lock_statements, "holders", let_the_other_take_it)
        drive_once(batch_size=1)

    assert holders() == {"order:1": second.pk}
    assert journal_of(first) == ["lock_awaited A"]


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_a_worker_that_stalls_while_it_takes_a_lock(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = locked()
    Script().register(definition)
    first, second = begin(definition), begin(definition)
    write = recording.write
    with rival() as other:

        def stall(*args: Any, **options: Any) -> None:
            monkeypatch.setattr(recording, "write", write)
            other.do(drive_once)
            write(*args, **options)

        monkeypatch.setattr(recording, "write", stall)
        drive_once(batch_size=1)
    assert queue() == []

    look(driver, second)

    assert holders() == {"order:1": first.pk}
    assert queue() == [second.pk]


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_is_given_back_while_somebody_looks_at_the_queue_is_not_lost(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = locked()
    Script().register(definition)
    first, second = begin(definition), begin(definition)
    driver.drive()
    look(driver, second)
    let_pass(second, 60)
    write = recording.write
    with rival() as other:

        def let_the_first_end(*args: Any, **options: Any) -> None:
            monkeypatch.setattr(recording, "write", write)
            other.do(lambda: send_signal(first.pk, "go", message_id="1"))
            other.do(drive_once)
            write(*args, **options)

        monkeypatch.setattr(recording, "write", let_the_first_end)
        driver.drive()

    driver.drive()
    assert status_of(first) == "completed"
    assert holders() == {"order:1": second.pk}


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_is_given_back_goes_to_nobody_who_has_just_stopped(driver: Driver) -> None:
    definition = locked()
    Script().register(definition)
    first, second, third = (begin(definition) for _ in range(3))
    driver.drive()

    order_from_elsewhere(Verb.PAUSE, second)
    let_go(driver, first)

    assert holders() == {"order:1": third.pk}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("where", ["write", "settle"])
def test_a_crash_while_a_lock_is_taken_or_given_back_leaves_nothing_half_done(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    definition = locked(make_step("A"))
    script = Script().register(definition)
    first, second = begin(definition), begin(definition)
    module: Any = recording if where == "write" else locks
    intact = getattr(module, where)

    def crash(*args: Any, **options: Any) -> None:
        raise OperationalError("The server closed the connection.")

    monkeypatch.setattr(module, where, crash)
    with pytest.raises(OperationalError):
        drive_once()
    assert (holders(), queue()) == ({}, [])

    monkeypatch.setattr(module, where, intact)
    driver.drive()

    assert (status_of(first), status_of(second)) == ("completed", "completed")
    assert (holders(), queue()) == ({}, [])
    assert script.actions.count("doA") >= 2


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_is_rolled_back_has_taken_no_lock(driver: Driver) -> None:
    definition = locked(make_step("A"), make_step("B", locks=("stock",)), waiting(), locks=())

    def pause(call: Call) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        order_from_elsewhere(Verb.PAUSE, Saga.objects.get(pk=call.saga_id))

    Script(doB=[pause]).register(definition)
    saga = begin(definition)

    driver.drive()

    assert journal_of(saga) == ["step_succeeded A", "paused"]
    assert holders() == {}
    order(Verb.RESUME, saga)
    look(driver, saga)
    assert holders() == {"stock": saga.pk}


# The example -----------------------------------------------------------------------------------


def test_two_sagas_of_a_restaurant_never_work_on_one_order_at_once(driver: Driver) -> None:
    text = Path("examples/definitions/restaurant-order.yaml").read_text()
    definition = read_yaml(text, filename="restaurant-order.yaml")
    catalogue.store_definition(definition)
    done: list[Call] = []
    for service in {step.participant for step in definition.steps}:
        Script(service).register(definition).calls = done
    food = {"orderId": 7, "consumerId": 1, "total": 20}
    sagas = [make_saga(definition, key=f"order-{n}", input=food) for n in range(2)]

    driver.drive()

    assert {status_of(saga) for saga in sagas} == {"completed"}
    assert [call.saga_id for call in done] == [saga.pk for saga in sagas for _ in definition.steps]


# What should not be ----------------------------------------------------------------------------


def strays() -> list[tuple[str, uuid.UUID]]:
    return [(finding.kind, finding.saga_id) for finding in stray_locks()]


def test_locks_in_use_are_no_strays(driver: Driver, script: Script) -> None:
    definition = locked()
    script.register(definition)
    sagas = [begin(definition) for _ in range(3)]
    driver.drive()
    order(Verb.PAUSE, sagas[2])
    LockWait.objects.update(since=F("since") - timedelta(hours=1))

    assert strays() == []


def test_a_lock_whose_holder_has_ended_or_is_gone_is_found(driver: Driver, script: Script) -> None:
    definition = locked(make_step("A"))
    script.register(definition)
    ended, gone = begin(definition), uuid.uuid4()
    driver.drive()
    SagaLock.objects.create(name="x", saga=ended, step="A")
    SagaLock.objects.create(name="y", saga_id=gone, step="A")

    assert strays() == [("stray_lock", ended.pk), ("stray_lock", gone)]
    release_lock("x", ended.pk, actor=None, reason="it has ended")
    release_lock("y", gone, actor=None, reason="it is gone")
    assert strays() == []


def test_who_waits_for_nobody_is_found_after_a_while(driver: Driver, script: Script) -> None:
    definition = locked()
    script.register(definition)
    saga, gone = begin(definition), uuid.uuid4()
    driver.drive()
    LockWait.objects.create(name="x", saga=saga, step="A")
    LockWait.objects.create(name="x", saga_id=gone, step="A")
    assert strays() == [("stray_wait", gone)]

    LockWait.objects.update(since=F("since") - timedelta(hours=1))

    assert sorted(strays()) == sorted([("stray_wait", saga.pk), ("stray_wait", gone)])
    LockWait.objects.all().delete()
