"""The proof finds every way in which a saga and its effects can disagree."""

import pytest

from examples.check_orders import Effect, Finding, SagaRow, StepRow, read_effects, verdict

FLIGHT, HOTEL = "ReserveFlight", "ReserveHotel"


def make_saga(status="completed", *, flight="succeeded", hotel="succeeded", undoable=True):
    steps = (StepRow(FLIGHT, flight, undoable), StepRow(HOTEL, hotel))
    return SagaRow("saga-1", "T-1", status, steps)


def make_effect(step=FLIGHT, *, number=1, stands=True, saga_id="saga-1"):
    return Effect(f"{step[7:]}Service", number, saga_id, "T-1", step, "reserve", stands)


def complaints(saga, *effects):
    return [finding.what for finding in verdict([saga], effects).violations]


def test_a_completed_order_has_every_effect_once():
    assert complaints(make_saga(), make_effect(FLIGHT), make_effect(HOTEL)) == []


def test_a_compensated_order_has_none_that_stands():
    saga = make_saga("compensated", flight="compensated", hotel="failed")

    assert complaints(saga, make_effect(stands=False)) == []


def test_completed_with_a_missing_effect():
    assert complaints(make_saga(), make_effect(FLIGHT)) == [
        "is completed, but ReserveHotel does not stand"
    ]


def test_completed_with_an_effect_taken_back():
    assert complaints(make_saga(), make_effect(FLIGHT), make_effect(HOTEL, stands=False)) == [
        "is completed, but ReserveHotel does not stand"
    ]


def test_compensated_with_an_effect_that_stands():
    assert complaints(make_saga("compensated", hotel="failed"), make_effect()) == [
        "is compensated, but ReserveFlight (FlightService 1) still stands"
    ]


@pytest.mark.parametrize("status", ["running", "completed", "compensated", "failed"])
def test_an_effect_done_twice(status):
    twice = [make_effect(number=number, stands=status != "compensated") for number in (1, 2)]

    assert "ReserveFlight was done 2 times" in complaints(make_saga(status), *twice)


def test_a_step_that_was_done_undone_and_ordered_again_is_done_once():
    steps = (StepRow(FLIGHT, "succeeded", times=2), StepRow(HOTEL, "succeeded"))
    saga = make_saga()._replace(steps=steps)
    effects = [make_effect(number=1, stands=False), make_effect(number=2), make_effect(HOTEL)]
    both_stand = [make_effect(number=1), *effects[1:]]
    once_too_often = [make_effect(number=3, stands=False), *effects]

    assert complaints(saga, *effects) == []
    assert complaints(saga, *both_stand) == ["ReserveFlight was done 2 times"]
    assert complaints(saga, *once_too_often) == ["ReserveFlight was done 3 times"]


def test_an_effect_without_a_saga():
    report = verdict([], [make_effect(saga_id="saga-9")])

    assert report.violations == [
        Finding("T-1", "saga-9", "ReserveFlight (FlightService 1) belongs to no saga")
    ]


def test_a_failed_order_is_listed_with_what_stands():
    saga = make_saga("failed", flight="compensation_failed", hotel="failed")
    report = verdict([saga], [make_effect()])

    assert report.violations == []
    assert report.stopped == [
        Finding("T-1", "saga-1", "failed; what stands: ReserveFlight (FlightService 1)")
    ]
    assert report.standing == {"failed": 1}


def test_an_order_under_way_is_neither_right_nor_wrong():
    report = verdict([make_saga("compensating")], [make_effect()])

    assert report.violations == []
    assert report.moving == [Finding("T-1", "saga-1", "is still compensating")]


def test_what_an_operator_did_by_hand_is_not_held_against_the_tables():
    assert complaints(make_saga(hotel="done_by_hand"), make_effect(FLIGHT)) == []
    undone = make_saga("compensated", flight="done_by_hand", hotel="failed")
    assert complaints(undone, make_effect()) == []


def test_a_step_without_an_undo_may_stand_after_compensation():
    saga = make_saga("compensated", hotel="failed", undoable=False)

    assert complaints(saga, make_effect()) == []


def test_effects_are_read_while_the_participants_work(participants, tmp_path):
    participants.call(business_key="T-7")

    assert list(read_effects(tmp_path)) == [
        Effect("FlightService", 1, "saga-1", "T-7", FLIGHT, "reserveFlight", True)
    ]
