"""Sagas that share locks, in memory: who waits, who is refused, who gives way, who is next."""

from __future__ import annotations

from typing import Any

import pytest

from sagas.core.definition import Definition, OnFailure, OnLocked, Step, StepType
from sagas.testing import OrderRefused, Simulation, accept_then_reply, fail, refuse, simulate
from tests.builders import QUICK, make_definition, make_step
from tests.sagas.locking import ORDER, waiting

ONE = {"order": 1}


def locked(*steps: Step, **overrides: Any) -> Definition:
    """A definition that locks its order and, by default, waits in its second step."""
    steps = steps or (make_step("A"), waiting(), make_step("B"))
    return make_definition(*steps, **({"locks": (ORDER,)} | overrides))


def crossing(name: str, first: str, second: str, **overrides: Any) -> Definition:
    """A definition that takes one lock, waits, and takes another one."""
    steps = (make_step("A", locks=(first,)), waiting(), make_step("B", locks=(second,)))
    return make_definition(*steps, name=name, **overrides)


def two(definition: Definition | None = None, **of_second: Any) -> tuple[Simulation, Simulation]:
    """Return a saga that holds its order and waits for its signal, and one that wants the same."""
    first = simulate(definition or locked(), input=ONE).settle()
    return first, first.beside(definition or locked(), **({"input": ONE} | of_second)).settle()


def cause(run: Simulation) -> str:
    return (run.state.cause or {})["class"]


def test_the_second_waits_until_the_first_has_ended() -> None:
    first, second = two()
    assert (first.locks, second.locks) == (["order:1"], [])
    assert (second.awaited_locks, second.calls) == (["order:1"], [])
    assert "lock order:1: order-1, then order-2" in first.timeline()

    first.signal("go").to_end()

    assert (first.status, first.locks) == ("completed", [])
    assert (second.locks, second.awaited_locks) == (["order:1"], [])
    second.signal("go").to_end()
    assert (second.status, second.locks) == ("completed", [])


def test_other_names_are_other_locks() -> None:
    _, second = two(input={"order": 2})

    assert second.locks == ["order:2"]
    assert [called.action for called in second.calls] == ["doA"]


def test_an_undone_saga_gives_its_locks_back_when_everything_is_undone() -> None:
    first, second = two()
    first.on("Service", "doB", refuse()).on("Service", "undoA", accept_then_reply(after="5s"))

    first.signal("go").advance("4s")
    assert (first.status, second.locks) == ("compensating", [])
    first.advance("1s")

    assert (first.status, second.locks) == ("compensated", ["order:1"])


def test_each_saga_tells_of_itself_only() -> None:
    first, second = two()
    second.order("cancel").settle()

    assert (second.status, second.calls, second.compensations) == ("compensated", [], [])
    first.assert_stands("doA")
    second.assert_nothing_stands()
    assert (first.sub_sagas, second.sub_sagas) == ([], [])


def test_a_definition_may_refuse_instead_of_waiting() -> None:
    first, second = two(locked(on_locked=OnLocked.REFUSE))

    assert (second.status, cause(second)) == ("compensated", "Locked")
    assert first.locks == ["order:1"]
    assert "Lock order:1 is held by saga" in second.timeline()


@pytest.mark.parametrize("last", ["older", "younger"])
def test_of_two_that_wait_for_each_other_the_younger_gives_way(last: str) -> None:
    older = simulate(crossing("left", "a", "b")).settle()
    younger = older.beside(crossing("right", "b", "a")).settle()

    for run in (younger, older) if last == "older" else (older, younger):
        run.signal("go").settle()

    assert (younger.status, cause(younger)) == ("compensated", "Deadlock")
    assert younger.compensations == ["undoA"]
    assert (older.status, older.locks) == ("completed", [])


def test_a_circle_is_found_from_whichever_branch_it_goes() -> None:
    """The one that gives way waits in two branches, and only one of them is part of the circle."""
    outsider = simulate(make_definition(waiting("W", locks=("c",)), name="outsider")).settle()
    older = outsider.beside(crossing("left", "a", "b")).settle()
    branches = (
        make_step("A", locks=("b",)),
        waiting(),
        make_step("C", locks=("c",), after=(1,)),
        make_step("D", locks=("a",), after=(1,)),
    )
    younger = older.beside(make_definition(*branches, name="branches"), business_key="3").settle()
    younger.signal("go").settle()
    assert younger.awaited_locks == ["a", "c"]

    older.signal("go").settle()

    assert (younger.status, cause(younger)) == ("compensated", "Deadlock")
    assert older.status == "completed"


def test_a_child_that_wants_its_parent_s_lock_fails() -> None:
    child = make_definition(make_step("X", locks=("p",)), name="child")
    sub = Step("B", "child", "start", "compensate", type=StepType.SAGA, undo_retry=QUICK)
    parent = make_definition(make_step("A", locks=("p",)), sub, name="parent")

    run = simulate(parent, sub_sagas=[child]).to_end()

    assert [cause(sub) for sub in run.sub_sagas] == ["Deadlock"]
    assert (run.status, run.locks) == ("compensated", [])


def test_who_waits_for_a_lock_has_its_time_only() -> None:
    steps = (make_step("A"), make_step("B", locks=(ORDER,)))
    limited = locked(*steps, locks=(), timeout_s=60.0)
    first = simulate(locked(), input=ONE).settle()
    second = first.beside(limited, input=ONE)

    second.advance("59s")
    assert second.awaited_locks == ["order:1"]
    second.advance("1s")

    assert (second.status, cause(second)) == ("compensated", "SagaTimeout")
    assert (second.awaited_locks, first.locks) == ([], ["order:1"])
    first.signal("go").to_end()
    assert first.locks == []


def test_whoever_waits_longest_is_next_and_one_that_is_paused_keeps_its_place() -> None:
    first, second = two()
    third = first.beside(locked(), input=ONE, business_key="order-3").settle()
    second.order("pause")

    first.signal("go").settle()
    assert (second.locks, third.locks) == ([], ["order:1"])
    second.order("resume").settle()
    third.signal("go").settle()

    assert second.locks == ["order:1"]


def test_one_that_was_paused_takes_what_has_become_free() -> None:
    first, second = two()
    second.order("pause")
    first.signal("go").settle()
    assert (first.status, second.locks) == ("completed", [])

    second.order("resume").settle()

    assert second.locks == ["order:1"]


def test_a_failed_saga_keeps_its_locks_until_somebody_releases_them() -> None:
    first, second = two(locked(waiting(), make_step("A", retry=QUICK), on_failure=OnFailure.PARK))
    first.on("Service", "doA", fail(times=3)).signal("go").to_end()
    assert (first.status, first.locks, second.locks) == ("failed", ["order:1"], [])

    first.release_lock("order:1", by="kim", reason="the customer waits").settle()

    assert (first.locks, second.locks) == ([], ["order:1"])
    assert first.journal[-1].kind == "lock_released"
    first.order("retry").settle()
    assert first.awaited_locks == ["order:1"]


def test_a_lock_of_a_saga_that_moves_is_not_released() -> None:
    first, second = two()

    with pytest.raises(OrderRefused, match="Pause it first"):
        first.release_lock("order:1")
    with pytest.raises(OrderRefused, match="does not hold"):
        second.release_lock("order:1")


def test_a_name_that_cannot_be_made_fails_the_step() -> None:
    run = simulate(locked()).to_end()

    assert (run.status, cause(run)) == ("compensated", "InvalidMapping")


def test_a_saga_that_waits_and_is_moved_to_a_version_without_locks_leaves_the_queue() -> None:
    first, second = two(locked(version=1))

    second.order("move", target=locked(version=2, locks=())).settle()
    first.signal("go").to_end()
    second.signal("go").to_end()

    assert (first.status, second.status, second.locks) == ("completed", "completed", [])
