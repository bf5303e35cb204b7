from pathlib import Path

import pytest

from sagas.core.definition import (
    DEFAULT_UNDO_RETRY,
    NO_RETRY,
    Definition,
    Kind,
    OnFailure,
    OnUnknown,
    RetryPolicy,
    Scenario,
    Step,
    from_spec,
    to_spec,
)
from sagas.definitions import read_yaml
from tests.definitions.builders import FILE, make_yaml

EXAMPLES = Path(__file__).parents[2] / "examples" / "definitions"
BACKOFF = RetryPolicy(attempts=3)
EVERYTHING = """\
saga:
  name: order
  version: 4
  type: orchestration
  description: |
    Takes the money,
    then ships.
  orchestrator: OrderService
  onFailure: park
  timeout: 1h
  steps:
    - name: book
      service: OrderService
      action: orders/book
      compensation: none
      timeout: 500ms
      retryPolicy: fixed(2, 250ms)
      onUnknown: park
    - name: pay
      service: PaymentService
      action: pay
      kind: pivot
      onUnknown: compensate
      undoRetryPolicy: none
    - name: ship
      service: ShippingService
      action: ship
      kind: retriable
      retryPolicy:
        attempts: 20
        initial: 2s
        factor: 1.5
        cap: 10m
        total: 1d
        jitter: false
  failureScenarios:
    - scenario: Whatever
      step: pay
      compensations: []
"""


def read_example(name):
    return read_yaml((EXAMPLES / name).read_text(encoding="utf-8"), filename=name)


def test_the_travel_booking_loads_as_it_stands():
    assert read_example("travel-booking.yaml") == Definition(
        name="TravelBookingSaga",
        orchestrator="BookingService",
        steps=(
            Step(
                "ReserveFlight",
                "FlightService",
                "reserveFlight",
                "cancelFlightReservation",
                timeout_s=10,
                retry=BACKOFF,
            ),
            Step(
                "ReserveHotel",
                "HotelService",
                "reserveHotel",
                "cancelHotelReservation",
                timeout_s=10,
                retry=BACKOFF,
            ),
            Step("ChargePayment", "PaymentService", "chargeCard", "refundPayment", timeout_s=5),
        ),
        scenarios=(
            Scenario("FlightReservationFailed", "ReserveFlight", (), ("(none, 첫 단계 실패)",)),
            Scenario("HotelReservationFailed", "ReserveHotel", ("cancelFlightReservation",)),
            Scenario(
                "PaymentFailed",
                "ChargePayment",
                ("cancelHotelReservation", "cancelFlightReservation"),
            ),
        ),
        invariants=(
            "All compensations must be idempotent",
            "Compensation order is reverse of execution order",
            "Saga timeout = sum of step timeouts + buffer",
        ),
    )


def test_the_order_of_the_shop_loads():
    definition = read_example("ecommerce-order.yaml")

    assert [(step.name, step.compensation) for step in definition.steps] == [
        ("createOrder", "cancelOrder"),
        ("processPayment", "refundPayment"),
        ("reserveInventory", "releaseStock"),
        ("scheduleShipping", "cancelShipping"),
        ("confirmOrder", None),
    ]
    assert [step.name for step in definition.steps if step.kind == Kind.PIVOT] == ["confirmOrder"]
    assert [scenario.step for scenario in definition.scenarios] == [
        step.name for step in definition.steps
    ]
    assert definition.steps[0].retry == RetryPolicy(3, 0.2, 2, 2)


def test_every_optional_field_is_read():
    assert read_yaml(EVERYTHING, filename=FILE) == Definition(
        name="order",
        version=4,
        description="Takes the money,\nthen ships.\n",
        orchestrator="OrderService",
        on_failure=OnFailure.PARK,
        timeout_s=3600,
        steps=(
            Step(
                "book",
                "OrderService",
                "orders/book",
                timeout_s=0.5,
                retry=RetryPolicy(2, 0.25, 1, 0.25, 300, False),
                on_unknown=OnUnknown.PARK,
            ),
            Step(
                "pay",
                "PaymentService",
                "pay",
                kind=Kind.PIVOT,
                undo_retry=NO_RETRY,
                on_unknown=OnUnknown.COMPENSATE,
            ),
            Step(
                "ship",
                "ShippingService",
                "ship",
                kind=Kind.RETRIABLE,
                retry=RetryPolicy(20, 2, 1.5, 600, 86_400, False),
            ),
        ),
        scenarios=(Scenario("Whatever", "pay", ()),),
    )


def test_what_is_left_out_has_its_default():
    definition = read_yaml(make_yaml(), filename=FILE)
    [step] = definition.steps

    assert (definition.version, definition.timeout_s) == (0, None)
    assert (definition.type, definition.on_failure) == ("orchestration", OnFailure.COMPENSATE)
    assert (step.timeout_s, step.kind, step.on_unknown) == (30, Kind.COMPENSATABLE, OnUnknown.RETRY)
    assert (step.retry, step.undo_retry) == (NO_RETRY, DEFAULT_UNDO_RETRY)


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ("{attempts: 3}", "exponentialBackoff(3)"),
        ("{attempts: 3, initial: 2m}", "exponentialBackoff(3, 2m)"),
        (
            "{jitter: true, attempts: 5, factor: 3, cap: 9s}",
            "exponentialBackoff(5, factor=3, cap=9s)",
        ),
    ],
)
def test_a_policy_may_be_a_mapping(mapping, text):
    as_mapping = read_yaml(make_yaml(step=f"retryPolicy: {mapping}"), filename=FILE)

    assert as_mapping == read_yaml(make_yaml(step=f"retryPolicy: {text}"), filename=FILE)


@pytest.mark.parametrize("text", [EVERYTHING, make_yaml()])
def test_a_definition_survives_its_spec(text):
    definition = read_yaml(text, filename=FILE)

    assert from_spec(to_spec(definition), version=definition.version) == definition


def test_numbers_have_one_type_so_that_equal_specs_have_equal_text():
    definition = read_yaml(EVERYTHING, filename=FILE)

    for step in definition.steps:
        for policy in (step.retry, step.undo_retry):
            assert [type(value) for value in policy] == [int, float, float, float, float, bool]
