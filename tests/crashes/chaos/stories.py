"""The sagas that customers start: one kind for each way of doing a step."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib.auth.models import Group, User
from django.db import connections
from rest_framework.authtoken.models import Token

from outbox.models import Route
from sagas.catalogue import store_definition
from sagas.core.definition import Definition, Kind, OnFailure, Step, StepType
from sagas.models import Participant
from tests.builders import QUICK, make_participant, make_step
from tests.crashes.chaos import callables, messages
from tests.crashes.chaos.operators import SIGNAL

# Every strike costs the calls in the air an attempt.
STUBBORN = QUICK._replace(attempts=60, initial_s=0.2, cap_s=2.0, total_s=3_600.0)
# How long an answer is waited for; a service that stands still takes longer.
TIMEOUT_S = 5.0
COMMANDS = "chaos:commands"
HTTP_SERVICES = (
    "FlightService",
    "HotelService",
    "PaymentService",
    "OrderService",
    "InventoryService",
)
# How services fail over HTTP, beside what happens to them.
FAULTS = [
    ("FlightService/*", "unavailable", "0.05"),
    ("HotelService/*", "lost", "0.05"),
    ("PaymentService/chargeCard", "business", "0.15"),
    ("InventoryService/reserveInventory", "business", "0.25"),
    ("InventoryService/releaseStock", "lost", "0.05"),
    ("OrderService/cancelOrder", "business", "0.2"),
]


def act(name: str, service: str, action: str, undo: str | None, **overrides: Any) -> Step:
    fields = {"retry": STUBBORN, "undo_retry": STUBBORN, "timeout_s": TIMEOUT_S} | overrides
    return make_step(name, participant=service, action=action, compensation=undo, **fields)


def flight(**overrides: Any) -> Step:
    return act("Flight", "FlightService", "reserveFlight", "cancelFlightReservation", **overrides)


def hotel(**overrides: Any) -> Step:
    return act("Hotel", "HotelService", "reserveHotel", "cancelHotelReservation", **overrides)


def payment(**overrides: Any) -> Step:
    return act("Payment", "PaymentService", "chargeCard", "refundPayment", **overrides)


def order(**overrides: Any) -> Step:
    return act("Order", "OrderService", "createOrder", "cancelOrder", **overrides)


def stock(**overrides: Any) -> Step:
    return act("Stock", "InventoryService", "reserveInventory", "releaseStock", **overrides)


def shipping(**overrides: Any) -> Step:
    return act("Shipping", messages.SERVICE, "scheduleShipping", "cancelShipping", **overrides)


def pick(name: str = "Pick", **overrides: Any) -> Step:
    return act(name, callables.PARTICIPANT, "pick", "putBack", **overrides)


def pack(**overrides: Any) -> Step:
    return act("Pack", callables.PARTICIPANT, "pack", "unpack", **overrides)


def wait(name: str, type: StepType, **overrides: Any) -> Step:
    return Step(name, "", type.value, type=type, **overrides)


def definitions() -> list[Definition]:
    """Return all of them; a saga that a step starts comes before the one that has the step."""
    parts = Step("Parts", "parts", "start", "compensate", type=StepType.SAGA)
    confirm = act("Confirm", "OrderService", "confirmOrder", None, kind=Kind.PIVOT)
    return [
        Definition("booking", (flight(), hotel(), payment())),
        Definition("picking", (pick("First"), pick("Second"), pack())),
        Definition(
            "branches",
            (
                pack(),
                flight(after=(0,)),
                hotel(after=(0,)),
                pick(after=(0,)),
                payment(after=(1, 2, 3)),
            ),
        ),
        Definition("parts", (stock(), pick())),
        Definition("assembly", (pack(), parts, payment())),
        Definition(
            "delivery", (pick(), wait("PickUp", StepType.SIGNAL, signal=SIGNAL), shipping())
        ),
        Definition("claim", (order(), wait("Decision", StepType.APPROVAL), payment())),
        Definition(
            "shelves",
            (pick(locks=("shelf:{input.first}",)), stock(locks=("shelf:{input.second}",)), pack()),
        ),
        Definition("order", (order(), stock(), pick(), confirm), on_failure=OnFailure.PARK),
        Definition("shipment", (shipping(), pack())),
    ]


class Tokens(NamedTuple):
    """Who may use the API: the customers' program, and a lead among the operators."""

    program: str
    lead: str


def prepare(services: str) -> Tokens:
    """Store the definitions and who performs them, with `services` the address of those on HTTP."""
    callables.make_table()
    for name in HTTP_SERVICES:
        make_participant(name, transport=Participant.Transport.HTTP, address=f"{services}/{name}")
    make_participant(messages.SERVICE, transport=Participant.Transport.MESSAGE)
    Route.objects.create(
        name="commands",
        transport=Route.Transport.REDIS_STREAM,
        target=COMMANDS,
        types=[f"command.{messages.SERVICE}.*"],
    )
    for definition in definitions():
        store_definition(definition)
    tokens = Tokens(*(token_of(role) for role in Tokens._fields))
    connections.close_all()
    return tokens


def token_of(role: str) -> str:
    user = User.objects.create_user(f"chaos-{role}")
    user.groups.add(Group.objects.get(name=role))
    return str(Token.objects.create(user=user).key)
