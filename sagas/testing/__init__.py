"""Tests of definitions without a database: the real core, with participants that play a script.

run = simulate("travel.yaml", input={"trip": 7})
run.on("PaymentService", "chargeCard", refuse("CardDeclined"))
run.to_end()
assert run.status == "compensated"
assert run.compensations == ["cancelHotelReservation", "cancelFlightReservation"]
run.assert_nothing_stands()
"""

from sagas.participants.calls import BusinessFailure, Call
from sagas.testing.answers import (
    Answer,
    accept_then_reply,
    crash,
    fail,
    lose_answer,
    refuse,
    succeed,
)
from sagas.testing.effects import Effect
from sagas.testing.participants import Called
from sagas.testing.simulation import OrderRefused, Simulation, simulate

__all__ = [
    "Answer",
    "BusinessFailure",
    "Call",
    "Called",
    "Effect",
    "OrderRefused",
    "Simulation",
    "accept_then_reply",
    "crash",
    "fail",
    "lose_answer",
    "refuse",
    "simulate",
    "succeed",
]
