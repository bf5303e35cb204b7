"""A saga in memory: answers, retries, time, crashes and late replies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sagas.core.definition import OnUnknown, RetryPolicy
from sagas.core.journal import Kind
from sagas.definitions import Saga, step
from sagas.testing import (
    BusinessFailure,
    Call,
    OrderRefused,
    Simulation,
    accept_then_reply,
    crash,
    fail,
    lose_answer,
    refuse,
    simulate,
    succeed,
)
from tests.builders import make_definition, make_step

TRAVEL = "examples/definitions/travel-booking.yaml"


def actions(run: Simulation) -> list[str]:
    return [called.action for called in run.calls]


def test_without_a_script_everything_succeeds_in_no_time() -> None:
    run = simulate(TRAVEL, input={"trip": 7}).to_end()

    assert (run.status, run.elapsed_s) == ("completed", 0)
    assert actions(run) == ["reserveFlight", "reserveHotel", "chargeCard"]
    assert run.calls[0].input == {"trip": 7}
    run.assert_stands("reserveFlight", "reserveHotel", "chargeCard")


def test_a_refusal_undoes_what_was_done_last_step_first() -> None:
    run = simulate(TRAVEL).on("PaymentService", "chargeCard", refuse("CardDeclined")).to_end()

    assert run.status == "compensated"
    assert run.compensations == ["cancelHotelReservation", "cancelFlightReservation"]
    assert run.state.cause is not None
    assert run.state.cause["class"] == "CardDeclined"
    run.assert_nothing_stands()


def test_retries_wait_in_simulated_time_under_one_key() -> None:
    run = simulate(TRAVEL).on("HotelService", "reserveHotel", fail(times=2)).to_end()

    hotel = [called for called in run.calls if called.action == "reserveHotel"]
    assert [called.attempt for called in hotel] == [1, 2, 3]
    assert [round(called.at - hotel[0].at) for called in hotel] == [0, 1, 3]
    assert len({called.key for called in hotel}) == 1
    assert run.status == "completed"


def test_answers_of_a_script_come_one_after_the_other_and_then_success() -> None:
    run = simulate(TRAVEL)
    run.on("HotelService", "reserveHotel", fail(), succeed({"room": 1}))

    assert run.to_end().status == "compensated"

    run = simulate(TRAVEL)
    run.on("HotelService", "reserveHotel", fail(times=1), lose_answer(), succeed({"room": 1}))

    assert run.to_end().status == "completed"
    assert run.state.steps[1].output == {"room": 1}


def test_a_callable_answers_like_a_local_participant() -> None:
    def charge(call: Call) -> dict[str, int]:
        if call.attempt == 1:
            raise ConnectionError("away")
        raise BusinessFailure("too little money", code="NoMoney")

    definition = make_definition(make_step("A"), make_step("B", retry=RetryPolicy(attempts=3)))
    run = simulate(definition).on("Service", "doB", charge).to_end()

    kinds = [entry.kind for entry in run.journal if entry.step == 1]
    assert kinds == [Kind.STEP_SENT, Kind.STEP_FAILED, Kind.STEP_SENT, Kind.STEP_FAILED]
    assert run.compensations == ["undoA"]


def test_an_assertion_within_a_callable_is_the_tests_own() -> None:
    def check(call: Call) -> None:
        assert call.input == {"other": 1}

    with pytest.raises(AssertionError):
        simulate(TRAVEL).on("FlightService", "reserveFlight", check).to_end()


def test_a_class_can_call_its_own_callables() -> None:
    def book(call: Call) -> dict[str, str]:
        return {"booked": call.input["trip"]}

    class OwnCallables(Saga):
        booking = step(action=book, compensation=None)

    run = simulate(OwnCallables, input={"trip": "7"}, own_callables=True).to_end()

    assert run.state.steps[0].output == {"booked": "7"}


def test_a_lost_answer_whose_call_took_effect_is_repeated_without_a_second_effect() -> None:
    run = simulate(TRAVEL)
    run.on("FlightService", "reserveFlight", lose_answer(), succeed()).to_end()

    assert run.status == "completed"
    (effect,) = [e for e in run.standing() if e.action == "reserveFlight"]
    assert effect.calls == 2


def test_what_is_in_doubt_is_undone_too() -> None:
    run = simulate(TRAVEL).on("PaymentService", "chargeCard", lose_answer()).to_end()

    assert run.compensations == [
        "refundPayment",
        "cancelHotelReservation",
        "cancelFlightReservation",
    ]
    run.assert_nothing_stands()


@pytest.mark.parametrize("took_effect", [True, False])
def test_a_worker_that_is_lost_leaves_no_double_effect(took_effect: bool) -> None:
    run = simulate(TRAVEL).crash("ReserveHotel", took_effect=took_effect)

    assert run.step("ReserveHotel") == "unknown"
    run.to_end()
    assert run.status == "completed"
    assert len(run.standing()) == 3


def test_a_crash_can_be_scripted() -> None:
    run = simulate(TRAVEL).on("HotelService", "reserveHotel", crash()).to_end()

    assert run.status == "completed"
    assert Kind.STEP_UNKNOWN in [entry.kind for entry in run.journal]


def test_a_probe_tells_the_truth_unless_it_is_scripted() -> None:
    charge = make_step("A", on_unknown=OnUnknown.PROBE, probe="askA")
    done = simulate(make_definition(charge)).on("Service", "doA", lose_answer()).to_end()
    lost = simulate(make_definition(charge))
    lost.on("Service", "doA", lose_answer(took_effect=False)).on("Service", "askA", refuse())

    assert done.status == "completed"
    assert actions(done) == ["doA", "askA"]
    assert lost.to_end().status == "compensated"


def test_an_accepted_command_waits_for_its_reply() -> None:
    run = simulate(TRAVEL)
    run.on("FlightService", "reserveFlight", accept_then_reply(succeed({"no": 1}), after="5s"))

    run.settle()
    assert run.step("ReserveFlight") == "waiting"
    run.advance("4s")
    assert run.step("ReserveFlight") == "waiting"
    run.advance("1s")
    assert run.status == "completed"
    assert run.elapsed_s == 5


def test_a_reply_that_comes_too_late_is_undone() -> None:
    definition = make_definition(make_step("A", timeout_s=10))
    run = simulate(definition).on("Service", "doA", accept_then_reply(after="30s")).to_end()

    assert run.status == "compensated"
    assert run.elapsed_s == 30
    assert [entry.kind for entry in run.journal].count(Kind.LATE_REPLY) == 1
    run.assert_nothing_stands()


def test_a_repeated_reply_changes_nothing() -> None:
    run = simulate(TRAVEL).to_end()
    before = run.state

    run.reply("ReserveFlight").to_end()

    assert run.state.steps == before.steps
    assert (run.status, len(run.standing())) == ("completed", 3)


def test_the_test_itself_can_send_the_reply() -> None:
    run = simulate(TRAVEL).on("FlightService", "reserveFlight", accept_then_reply(after="never"))

    run.settle().reply("ReserveFlight", refuse("sold_out")).to_end()

    assert (run.status, run.compensations) == ("compensated", [])


def test_an_undo_that_fails_leaves_its_effect_for_an_operator() -> None:
    run = simulate(TRAVEL)
    run.on("PaymentService", "chargeCard", refuse())
    run.on("HotelService", "cancelHotelReservation", refuse())
    run.to_end()

    assert (run.status, run.compensations) == ("failed", ["cancelFlightReservation"])
    run.assert_stands("reserveHotel")
    with pytest.raises(AssertionError, match=r"reserveHotel stands, not nothing(.|\n)*undo failed"):
        run.assert_nothing_stands()

    run.order("mark done", step="ReserveHotel", evidence="by phone").to_end()
    assert run.status == "compensated"


def test_verbs_are_refused_in_an_operators_words() -> None:
    run = simulate(TRAVEL).to_end()

    with pytest.raises(OrderRefused, match="Only a failed saga can be retried"):
        run.order("retry")
    with pytest.raises(OrderRefused, match="waits for nobody"):
        run.order("approve", step="ReserveHotel")


def test_a_pause_stops_time_for_the_saga() -> None:
    run = simulate(TRAVEL).on("HotelService", "reserveHotel", fail(times=1)).settle()

    run.order("pause").advance("1h")
    assert (run.paused, run.status, len(run.calls)) == (True, "running", 2)
    run.order("resume").to_end()

    assert run.status == "completed"


def test_a_saga_past_its_deadline_is_undone() -> None:
    definition = make_definition(make_step("A"), make_step("B"), timeout_s=60)
    run = simulate(definition).on("Service", "doB", accept_then_reply(after="100s")).to_end()

    assert run.status == "compensated"
    run.assert_nothing_stands()


def test_a_failed_saga_can_be_retried_with_another_input_and_rewound() -> None:
    definition = make_definition(make_step("A"), make_step("B"), on_failure="park")
    run = simulate(definition, input={"n": 1}).on("Service", "doB", refuse(times=2)).to_end()

    run.order("retry", input={"n": 2}).to_end()
    assert (run.status, run.calls[-1].input) == ("failed", {"n": 2})
    run.order("rewind", step="A").to_end()

    assert run.status == "completed"
    assert actions(run) == ["doA", "doB", "doB", "undoA", "doA", "doB"]
    run.assert_stands("doA", "doB")


def test_a_step_that_never_arrived_is_done_anew_after_a_rewind() -> None:
    """Edge cases 5 and 6: its undo finds nothing, and keeps out the first call only."""
    definition = make_definition(make_step("A", on_unknown=OnUnknown.PARK))
    run = simulate(definition).on("Service", "doA", lose_answer(took_effect=False)).to_end()
    assert run.status == "failed"

    run.order("rewind", step="A").to_end()

    assert run.status == "completed"
    assert [(call.key.partition("/")[2], call.undoes.partition("/")[2]) for call in run.calls] == [
        ("A/do", ""),
        ("A/undo", "A/do"),
        ("A/do/2", ""),
    ]
    run.assert_stands("doA")


def test_until_says_what_happened_when_it_never_comes_to_that() -> None:
    with pytest.raises(AssertionError, match="COMPLETED"):
        simulate(TRAVEL).until(lambda run: run.status == "failed")


def test_a_simulation_needs_no_django() -> None:
    code = f"""
import sys
from sagas.testing import simulate
assert simulate({TRAVEL!r}).to_end().status == "completed"
assert not [name for name in sys.modules if name.startswith(("django.db.models.", "celery"))]
"""
    told = subprocess.run(
        [sys.executable, "-c", code], env={}, capture_output=True, text=True, check=False
    )

    assert told.stderr == ""


def test_the_report_of_a_failed_test_has_the_timeline(tmp_path: Path) -> None:
    file = tmp_path / "test_one.py"
    file.write_text(
        "from sagas.testing import simulate\n"
        "def test_it():\n"
        f"    run = simulate({str(Path(TRAVEL).resolve())!r}).to_end()\n"
        "    assert run.status == 'failed'\n"
    )
    options = ["-c", "/dev/null", "-p", "sagas.testing.pytest_plugin", "-p", "no:cacheprovider"]

    told = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "saga <TravelBookingSaga order-1: completed" in told.stdout
    assert "ReserveHotel         succeeded" in told.stdout
