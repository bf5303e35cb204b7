"""Branches side by side, waits, decisions and sub-sagas, in memory."""

from __future__ import annotations

from typing import Any

import pytest

from sagas.core.definition import Definition, Kind, OnFailure, OnTimeout, Step, StepType
from sagas.testing import OrderRefused, Simulation, fail, lose_answer, refuse, simulate, succeed
from sagas.testing.children import UnknownChild
from tests.builders import make_definition, make_step

TRIP = "examples/definitions/parallel-trip.yaml"
RESERVED = succeed({"id": 1, "price": 1_500})


def trip(**options: Any) -> Simulation:
    run = simulate(TRIP, input={"card": "1", "seat": "12A"}, **options)
    return run.on("FlightService", "reserveFlight", RESERVED).on(
        "HotelService", "reserveHotel", RESERVED
    )


def test_branches_are_called_side_by_side() -> None:
    run = trip().until(lambda run: len(run.calls) == 2)

    assert [called.action for called in run.calls] == ["reserveFlight", "reserveHotel"]


@pytest.mark.parametrize(
    ("order", "undone"),
    [
        (("ReserveFlight",), ["releaseSeat", "cancelFlight"]),
        (("ReserveHotel",), ["cancelFlight"]),
    ],
)
def test_answers_come_in_the_order_that_a_test_wants(
    order: tuple[str, ...], undone: list[str]
) -> None:
    run = trip(order=order).on("HotelService", "reserveHotel", refuse()).to_end()

    assert run.compensations == undone
    run.assert_nothing_stands()


def test_whatever_the_order_a_seed_repeats_it_and_nothing_is_left() -> None:
    ways = set()
    for seed in range(20):
        runs = [trip(seed=seed).on("PaymentService", "chargeCard", refuse()) for _ in "ab"]
        for run in runs:
            run.approve("ApproveTrip").to_end()
            assert run.status == "compensated"
            run.assert_nothing_stands()
        first, second = [[called.action for called in run.calls] for run in runs]
        assert first == second
        ways.add(tuple(first))

    assert len(ways) > 1


def test_a_decision_is_waited_for_and_its_refusal_undoes() -> None:
    run = trip().settle()
    assert run.step("ApproveTrip") == "waiting"

    run.reject("ApproveTrip", by="min", reason="too dear").to_end()

    assert run.status == "compensated"
    assert run.state.cause is not None
    assert run.state.cause["message"] == "min: too dear"


def test_nobody_deciding_in_time_is_a_failure() -> None:
    run = trip().to_end()

    assert (run.status, run.elapsed_s) == ("compensated", 2 * 86_400)


def test_only_what_waits_for_a_decision_can_be_decided() -> None:
    with pytest.raises(OrderRefused):
        simulate(make_definition(waiting("W", StepType.SIGNAL, signal="s"))).approve("W")


def waiting(name: str, type_: StepType, **fields: Any) -> Step:
    actions = {StepType.SIGNAL: "signal", StepType.TIMER: "wait"}
    return make_step(
        name, type=type_, participant="", action=actions[type_], compensation=None, **fields
    )


def test_a_signal_may_come_before_or_after_its_step() -> None:
    steps = (make_step("A"), waiting("W", StepType.SIGNAL, signal="paid"))
    early = simulate(make_definition(*steps)).signal("paid", {"no": 1}).to_end()
    late = simulate(make_definition(*steps)).to_end()

    assert (early.status, early.state.steps[1].output) == ("completed", {"no": 1})
    assert late.status == "running"
    assert late.signal("paid").to_end().status == "completed"


def test_a_timer_costs_no_time_and_a_timeout_may_go_on() -> None:
    timer = waiting("T", StepType.TIMER, wait_s=3_600.0)
    signal = waiting("S", StepType.SIGNAL, signal="x", within_s=60.0, on_timeout=OnTimeout.CONTINUE)
    run = simulate(make_definition(timer, signal)).to_end()

    assert (run.status, run.elapsed_s) == ("completed", 3_660)


def child_and_parent() -> tuple[Definition, Definition]:
    child = make_definition(make_step("X"), make_step("Y"), name="child")
    sub = make_step(
        "B",
        type=StepType.SAGA,
        participant="child",
        action="start",
        compensation="compensate",
        undo_retry=make_step().undo_retry,
    )
    return child, make_definition(make_step("A"), sub, make_step("C"), name="parent")


def test_a_sub_saga_runs_and_gives_its_outputs() -> None:
    child, parent = child_and_parent()
    run = simulate(parent, input={"n": 1}, sub_sagas=[child])
    run.on("Service", "doX", succeed({"x": 1})).to_end()

    assert run.status == "completed"
    assert run.state.steps[1].output == {"X": {"x": 1}}
    assert [sub.status for sub in run.sub_sagas] == ["completed"]
    assert run.calls[1].input == {"n": 1}


def test_a_sub_saga_that_is_done_is_undone_with_its_parent() -> None:
    child, parent = child_and_parent()
    run = simulate(parent, sub_sagas=[child]).on("Service", "doC", refuse()).to_end()

    assert run.status == "compensated"
    assert run.compensations == ["undoY", "undoX", "undoA"]
    run.assert_nothing_stands()


def test_a_sub_saga_that_fails_fails_its_step() -> None:
    child, parent = child_and_parent()
    run = simulate(parent, sub_sagas=[child]).on("Service", "doY", refuse()).to_end()

    assert (run.status, run.compensations) == ("compensated", ["undoX", "undoA"])


def test_a_step_that_is_retried_finds_that_its_sub_saga_has_ended_meanwhile() -> None:
    child, parent = child_and_parent()
    sub, parks = parent.steps[1]._replace(within_s=5.0), OnFailure.PARK
    steps = (parent.steps[0], sub, parent.steps[2])
    parent = parent._replace(steps=steps, on_failure=parks)
    run = simulate(parent, sub_sagas=[child._replace(on_failure=parks)])
    run.on("Service", "doY", refuse()).to_end()
    assert (run.status, [sub.status for sub in run.sub_sagas]) == ("failed", ["failed"])

    run.on("Service", "doY").sub_sagas[0].order("retry").to_end()
    run.order("retry").to_end()

    assert (run.status, [sub.status for sub in run.sub_sagas]) == ("completed", ["completed"])


def test_a_sub_saga_that_nobody_gave_is_named() -> None:
    _, parent = child_and_parent()

    with pytest.raises(UnknownChild, match="B starts child"):
        simulate(parent).to_end()


@pytest.mark.parametrize("seed", range(30))
def test_trouble_anywhere_ends_all_done_all_undone_or_waiting_for_a_person(seed: int) -> None:
    steps = (
        make_step("A"),
        make_step("B", after=()),
        make_step("C", after=(0, 1), kind=Kind.PIVOT),
        make_step("D", kind=Kind.RETRIABLE, compensation=None),
    )
    run = simulate(make_definition(*steps), seed=seed)
    troubles = [refuse(), fail(), lose_answer(), lose_answer(took_effect=False)]
    names = ["doA", "doB", "doC", "doD", "undoA"]
    run.on("Service", names[seed % 5], troubles[seed % 4]).to_end()

    stands = sorted(effect.action for effect in run.standing())
    if run.status == "compensated":
        assert stands == []
    elif run.status == "completed":
        assert stands == ["doA", "doB", "doC", "doD"]
    else:
        assert run.status == "failed"
        assert seed % 5 in (2, 3)
