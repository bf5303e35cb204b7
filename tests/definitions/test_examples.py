"""The examples with side by side steps, waits and a point of no return."""

import pytest

from sagas.core.definition import Kind, OnUnknown, StepType
from sagas.definitions.drawing import to_svg
from sagas.definitions.graphs import to_mermaid
from tests.definitions.test_yaml_format import EXAMPLES, read_example


def test_the_restaurant_order_loads():
    order = read_example("restaurant-order.yaml")

    assert [(step.name, step.kind, step.compensation) for step in order.steps] == [
        ("createOrder", Kind.COMPENSATABLE, "rejectOrder"),
        ("verifyConsumer", Kind.COMPENSATABLE, None),
        ("createTicket", Kind.COMPENSATABLE, "rejectTicket"),
        ("authoriseCard", Kind.PIVOT, None),
        ("approveTicket", Kind.RETRIABLE, None),
        ("approveOrder", Kind.RETRIABLE, None),
    ]
    assert order.locks == ("order:{input.orderId}",)
    assert order.search == (("consumer", "input.consumerId"), ("order", "input.orderId"))
    assert order.steps[3].on_unknown == OnUnknown.PROBE
    assert [(scenario.step, scenario.compensations) for scenario in order.scenarios] == [
        ("createOrder", ()),
        ("verifyConsumer", ("rejectOrder",)),
        ("createTicket", ("rejectOrder",)),
        ("authoriseCard", ("rejectTicket", "rejectOrder")),
    ]


def test_the_parallel_trip_loads():
    trip = read_example("parallel-trip.yaml")

    assert [(step.name, step.after) for step in trip.steps] == [
        ("ReserveFlight", None),
        ("ReserveSeat", None),
        ("ReserveHotel", ()),
        ("ApproveTrip", (1, 2)),
        ("ChargeCard", None),
        ("ConfirmFlight", None),
        ("ConfirmHotel", (4,)),
    ]
    approve = trip.steps[3]
    assert (approve.type, approve.approvers) == (StepType.APPROVAL, "trip-approvers")
    assert "> `2000`" in approve.when


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_can_be_drawn(path):
    definition = read_example(path.name)

    for step in definition.steps:
        assert f">{step.name}<" in to_svg(definition)
        assert step.name in to_mermaid(definition)
