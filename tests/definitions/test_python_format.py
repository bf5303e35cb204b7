import inspect
from datetime import timedelta
from functools import partial

import pytest

from examples.payment_inventory_shipping import PaymentInventoryShipping, charge_payment
from sagas.core.definition import Kind, OnFailure, OnUnknown, RetryPolicy, from_spec, to_spec
from sagas.definitions import (
    DefinitionError,
    Saga,
    declared_sagas,
    exponential_backoff,
    fixed,
    read_yaml,
    scenario,
    step,
)
from tests.definitions.test_yaml_format import EVERYTHING, read_example


def reserve(call): ...


def cancel(call): ...


def make_step(**changes):
    return step(**{"service": "S", "action": "do", "compensation": "undo"} | changes)


def line_of(text):
    """Return the number of the only line of this file that ends with the text."""
    lines = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    [number] = [number for number, line in enumerate(lines, start=1) if line.endswith(text)]
    return number


def declare_travel():
    class TravelBooking(Saga, name="TravelBookingSaga", orchestrator="BookingService"):
        reserve_flight = step(
            "ReserveFlight",
            service="FlightService",
            action="reserveFlight",
            compensation="cancelFlightReservation",
            timeout="10s",
            retry=exponential_backoff(3),
        )
        reserve_hotel = step(
            "ReserveHotel",
            service="HotelService",
            action="reserveHotel",
            compensation="cancelHotelReservation",
            timeout=timedelta(seconds=10),
            retry="exponentialBackoff(3)",
        )
        charge_payment = step(
            "ChargePayment",
            service="PaymentService",
            action="chargeCard",
            compensation="refundPayment",
            timeout="5s",
        )
        scenarios = [
            scenario("FlightReservationFailed", ["(none, 첫 단계 실패)"]),
            scenario("HotelReservationFailed", ["cancelFlightReservation"]),
            scenario("PaymentFailed", ["cancelHotelReservation", "cancelFlightReservation"]),
        ]
        invariants = [
            "All compensations must be idempotent",
            "Compensation order is reverse of execution order",
            "Saga timeout = sum of step timeouts + buffer",
        ]

    return TravelBooking


def problems_of_class(**attributes):
    """Return field and message of each problem of a class with these attributes."""
    options = attributes.pop("options", {})
    with pytest.raises(DefinitionError) as caught:
        type("Travel", (Saga,), attributes, **options)
    return [(problem.field, problem.message) for problem in caught.value.problems]


def test_the_travel_booking_is_the_same_in_both_formats():
    assert declare_travel().definition() == read_example("travel-booking.yaml")


def test_every_option_is_the_same_in_both_formats():
    class Order(
        Saga,
        name="order",
        version=4,
        description="Takes the money,\nthen ships.\n",
        orchestrator="OrderService",
        on_failure="park",
        timeout="1h",
    ):
        book = step(
            service="OrderService",
            action="orders/book",
            compensation=None,
            timeout="500ms",
            retry=fixed(2, "250ms"),
            on_unknown="park",
        )
        pay = step(
            service="PaymentService",
            action="pay",
            kind=Kind.PIVOT,
            on_unknown=OnUnknown.COMPENSATE,
            undo_retry="none",
        )
        ship = step(
            service="ShippingService",
            action="ship",
            kind="retriable",
            retry=exponential_backoff(20, "2s", 1.5, "10m", total="1d", jitter=False),
        )
        scenarios = [scenario("Whatever", step="pay")]

    from_yaml = read_yaml(EVERYTHING, filename="order.yaml")
    assert Order.definition() == from_yaml
    # The stored text is compared, so 2 and 2.0 must not differ.
    assert repr(to_spec(Order.definition())) == repr(to_spec(from_yaml))


def test_numbers_of_a_policy_have_the_types_that_yaml_gives():
    class Order(Saga):
        pay = make_step(retry=RetryPolicy(3, 1, 2, 60, 300))

    assert repr(Order.definition().steps[0].retry) == repr(RetryPolicy(3))


def test_a_definition_survives_its_spec():
    definition = declare_travel().definition()

    assert from_spec(to_spec(definition), version=0) == definition


def test_names_are_those_of_class_and_attribute_unless_given():
    class Order(Saga):
        pay = make_step()

    assert Order.definition().name == "Order"
    assert Order.definition().steps[0].name == "pay"
    assert Order.definition().on_failure == OnFailure.COMPENSATE


def test_a_subclass_has_the_steps_of_its_base_first():
    class Order(Saga):
        pay = make_step()

    class GiftOrder(Order):
        wrap = make_step()

    assert [item.name for item in GiftOrder.definition().steps] == ["pay", "wrap"]


def test_classes_are_found_by_the_name_of_their_definition():
    travel = declare_travel()

    assert declared_sagas() == {"TravelBookingSaga": travel}


def test_a_module_that_is_loaded_again_replaces_its_classes():
    declare_travel()
    again = declare_travel()

    assert declared_sagas()["TravelBookingSaga"] is again


def test_two_classes_cannot_have_one_name():
    declare_travel()

    with pytest.raises(DefinitionError, match=r"is already the name of .*TravelBooking; choose"):
        type("Other", (Saga,), {"pay": make_step()}, name="TravelBookingSaga")


def test_a_class_that_is_refused_is_not_registered():
    assert problems_of_class(pay=make_step(timeout="soon"))
    assert not declared_sagas()


def test_callables_are_actions_of_the_class():
    class Travel(Saga, name="travel-booking"):
        flight = step(action=reserve, compensation=cancel)
        hotel = step(service="HotelService", action=reserve, compensation="cancelHotel")

    [flight, hotel] = Travel.definition().steps
    assert flight[1:4] == ("Travel", "reserve", "cancel")
    assert hotel[1:4] == ("HotelService", "reserve", "cancelHotel")
    assert Travel.local_actions() == {
        ("Travel", "reserve"): reserve,
        ("Travel", "cancel"): cancel,
        ("HotelService", "reserve"): reserve,
    }


def test_functions_of_the_class_can_be_its_actions():
    class Travel(Saga):
        def book(call): ...  # noqa: N805

        @staticmethod
        def unbook(call): ...

        flight = step(action=book, compensation=unbook)
        scenarios = [scenario("FlightFailed", [unbook], step="flight")]

    assert Travel.local_actions() == {
        ("Travel", "book"): Travel.book,
        ("Travel", "unbook"): Travel.unbook,
    }
    assert Travel.definition().scenarios[0].compensations == ("unbook",)


def test_the_example_runs_on_its_own_callables():
    definition = PaymentInventoryShipping.definition()

    assert [(s.name, s.timeout_s, s.retry.attempts) for s in definition.steps] == [
        ("Payment", 30, 3),
        ("Inventory", 30, 1),
        ("Shipping", 60, 1),
    ]
    assert [item.step for item in definition.scenarios] == ["Payment", "Inventory", "Shipping"]
    actions = PaymentInventoryShipping.local_actions()
    assert actions["PaymentInventoryShipping", "charge_payment"] is charge_payment
    assert len(actions) == 6


def test_a_problem_names_file_line_and_field():
    with pytest.raises(DefinitionError) as caught:

        class Travel(Saga, on_failure="explode"):  # the class
            flight = make_step()
            hotel = step(service="S", action="a", compensation="b", timeout="10 sec")  # here

    first, second = str(caught.value).splitlines()
    assert first == (
        f"{__file__}:{line_of('# the class')}: Travel.on_failure: "
        '"explode" is not one of compensate, park'
    )
    assert second == (
        f"{__file__}:{line_of('# here')}: Travel.hotel.timeout: "
        '"10 sec" is no duration; write for example 10s, 500ms, 5m'
    )


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"timeout": 10}, "timeout", '"10" is no duration; write for example "10s"'),
        ({"name": 5}, "name", '"5" is no text; put it in quotes'),
        ({"name": ""}, "name", "is empty; write something or leave it out"),
        ({"service": None}, "service", "is missing; name the service that performs the action"),
        ({"action": 5}, "action", '"5" is neither a name nor a function'),
        (
            {"action": lambda call: None},
            "action",
            "a lambda has no name to be called by; write a function",
        ),
        (
            {"kind": "odd"},
            "kind",
            '"odd" is not one of compensatable, pivot, retriable',
        ),
        ({"on_unknown": 1}, "on_unknown", '"1" is not one of retry, probe, compensate, park'),
        (
            {"retry": 3},
            "retry",
            '"3" is no retry policy; write for example exponential_backoff(3)',
        ),
        ({"retry": RetryPolicy("3")}, "retry", '"3" attempts are no whole number'),
        ({"undo_retry": RetryPolicy(0)}, "undo_retry", "has 0 attempts; it must have 1 to 1000"),
        (
            {"retry": "exponential(3)"},
            "retry",
            '"exponential(3)" is no retry policy; did you mean exponentialBackoff?',
        ),
    ],
)
def test_a_problem_of_a_step_names_its_attribute(changes, field, message):
    assert problems_of_class(pay=make_step(**changes)) == [(f"Travel.pay.{field}", message)]


def test_a_missing_undo_is_reported():
    assert problems_of_class(pay=step(service="S", action="a")) == [
        (
            "Travel.pay.compensation",
            "is missing; name the action that undoes this step, or write none if there is "
            "nothing to undo",
        )
    ]


def test_two_callables_cannot_have_one_name():
    def reserve(call): ...

    pay = step(action=reserve, compensation=cancel)
    ship = step(action=globals()["reserve"], compensation=cancel)

    assert problems_of_class(pay=pay, ship=ship) == [
        ("Travel.ship.action", "reserve is already the name of another callable; rename one")
    ]


def test_a_callable_without_a_name_is_refused():
    [(field, message)] = problems_of_class(
        pay=step(action=reserve, compensation=partial(cancel, None))
    )

    assert field == "Travel.pay.compensation"
    assert message.endswith("is neither a name nor a function")


@pytest.mark.parametrize(
    ("attributes", "field", "message"),
    [
        ({"scenarios": "X"}, "scenarios", "must be a list"),
        ({"scenarios": ["X"]}, "scenarios[0]", '"X" is no scenario; write scenario(...)'),
        (
            {"scenarios": [scenario("X", "undo")]},
            "scenarios[0].compensations",
            "must be a list of compensations",
        ),
        (
            {"scenarios": [scenario("X", ["undone"])]},
            "scenarios[0].compensations",
            '"undone" is the compensation of no step; did you mean undo?',
        ),
        (
            {"scenarios": [scenario("X", step="pays")]},
            "scenarios[0].step",
            'there is no step "pays"; did you mean pay?',
        ),
        ({"invariants": ["a", None]}, "invariants[1]", '"None" is no text; put it in quotes'),
        ({"options": {"version": -1}}, "version", "is -1; versions count from 1"),
        (
            {"options": {"version": True}},
            "version",
            '"True" is no version; write a whole number from 1',
        ),
        (
            {"options": {"timeout": "1s"}},
            "timeout",
            "1s is less than the step timeouts together; write at least 30s",
        ),
        ({"options": {"orchestrator": 5}}, "orchestrator", '"5" is no text; put it in quotes'),
    ],
)
def test_a_problem_of_the_class_names_its_field(attributes, field, message):
    assert problems_of_class(pay=make_step(), **attributes) == [(f"Travel.{field}", message)]


def test_a_class_without_steps_is_refused():
    assert problems_of_class() == [("Travel.steps", "has no steps; a saga needs at least one")]


def test_a_policy_that_cannot_be_made_names_the_line():
    with pytest.raises(DefinitionError) as caught:
        exponential_backoff(3, initial="1 s")  # this one

    assert str(caught.value) == (
        f"{__file__}:{line_of('# this one')}: initial: "
        '"1 s" is no duration; write for example 10s, 500ms, 5m'
    )


def test_unknown_participants_are_reported_when_the_known_are_given():
    travel = declare_travel()

    with pytest.raises(DefinitionError) as caught:
        travel.definition(participants=["FlightService", "HotelService", "PayService"])

    [problem] = caught.value.problems
    assert problem.line > 0
    assert (problem.field, problem.message) == (
        "TravelBooking.charge_payment.service",
        'there is no participant "PaymentService"; did you mean PayService?',
    )
