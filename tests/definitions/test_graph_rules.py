"""The rules for steps that run side by side, on definitions that no format has read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.definition import Kind, OnTimeout, Scenario, Step, StepType, from_spec, to_spec
from sagas.definitions import validate
from sagas.definitions.flows import Group, flatten
from sagas.definitions.ordering import ancestors, longest_path
from tests.definitions.builders import make_definition, make_step
from tests.definitions.test_validation import faults


def call(name, *after, **changes):
    """Return a step after those at these places."""
    return make_step(name, after=after, **changes)


def wait(name, *after, **changes):
    return Step(name, "", "signal", type=StepType.SIGNAL, signal="go", after=after, **changes)


def test_only_steps_above_may_be_waited_for():
    assert faults(make_definition(call("A"), call("B", 1))) == [
        (
            "steps[1].after",
            "names a step that is not above it; only steps above may be named, so that no circle "
            "can come about",
        )
    ]


def test_the_timeout_of_a_saga_is_that_of_its_longest_way():
    steps = [
        call("A", timeout_s=10.0),
        call("B", 0, timeout_s=20.0),
        call("C", 0, timeout_s=5.0),
        Step("D", "", "wait", type=StepType.TIMER, wait_s=30.0, after=(2,)),
        wait("E", 3),
        call("F", 1, 4, timeout_s=1.0),
    ]

    validate(make_definition(*steps, timeout_s=46.0))
    assert faults(make_definition(*steps, timeout_s=45.0)) == [
        (
            "timeout_s",
            "45s is less than the timeouts of A → C → D → E → F together; write at least 46s",
        )
    ]


def test_a_wait_with_an_end_counts_and_one_without_does_not():
    child = Step("S", "Other", "start", type=StepType.SAGA, within_s=60.0)

    assert longest_path(make_definition(wait("A"), child))[0] == 60
    assert longest_path(make_definition(wait("A"), wait("B", 0, within_s=5.0)))[0] == 5


PIVOT = call("Pay", 0, kind=Kind.PIVOT)


@pytest.mark.parametrize(
    ("steps", "field", "message"),
    [
        (
            [call("A"), PIVOT, call("B", 0)],
            "steps[2]",
            'may run at the same time as the pivot "Pay"; let it come before or after it',
        ),
        (
            [call("A"), PIVOT, call("B", 1)],
            "steps[2].kind",
            'compensatable after the pivot "Pay"; make it retriable, or move it before the pivot',
        ),
        (
            [call("A", kind=Kind.RETRIABLE), PIVOT],
            "steps[0].kind",
            "retriable without a pivot before it; give the step that is the point of no return "
            "kind pivot",
        ),
        (
            [call("A"), call("B", 0), PIVOT._replace(after=(1,)), call("C", 2, kind=Kind.PIVOT)],
            "steps[3].kind",
            'pivot a second time, after "Pay"; a saga has one point of no return',
        ),
        (
            [call("A"), PIVOT, wait("B", 1, within_s=5.0)],
            "steps[2].on_timeout",
            'fail after the pivot "Pay", from where there is no way back; let the saga continue, '
            "or remove the timeout",
        ),
        (
            [call("A"), PIVOT._replace(when="input.x"), call("B", 1, kind=Kind.RETRIABLE)],
            "steps[1].when",
            "may leave out the pivot, on which the steps after it rely; remove the condition, or "
            "give those steps the same one in a saga of their own",
        ),
    ],
)
def test_what_would_lead_back_over_the_pivot_is_refused(steps, field, message):
    assert faults(make_definition(*steps)) == [(field, message)]


@pytest.mark.parametrize(
    "last",
    [
        call("B", 1, kind=Kind.RETRIABLE),
        wait("B", 1),
        wait("B", 1, within_s=5.0, on_timeout=OnTimeout.CONTINUE),
        Step("B", "", "wait", type=StepType.TIMER, wait_s=5.0, after=(1,)),
    ],
)
def test_what_cannot_lead_back_may_come_after_the_pivot(last):
    validate(make_definition(call("A"), PIVOT, last))


def test_a_pivot_that_nothing_follows_may_have_a_condition():
    validate(make_definition(call("A"), PIVOT._replace(when="input.x")))


def test_a_field_of_another_type_is_refused_whoever_has_written_it():
    step = make_step(type=StepType.TIMER, wait_s=5.0, compensation=None, action="wait")

    assert faults(make_definition(step)) == [
        ("steps[0].participant", "has no place in a timer, which calls nobody; remove it")
    ]


def make_trip(*scenarios):
    """A flight and a seat beside a hotel, then a payment."""
    steps = [
        call("Flight", compensation="cancelFlight"),
        call("Seat", 0, compensation="cancelSeat"),
        call("Hotel", compensation="cancelHotel"),
        call("Payment", 1, 2, compensation="refund"),
    ]
    return make_definition(*steps, scenarios=scenarios)


@pytest.mark.parametrize(
    ("step", "undos"),
    [
        ("Payment", ("cancelHotel", "cancelSeat", "cancelFlight")),
        ("Payment", ("cancelSeat", "cancelHotel", "cancelFlight")),
        ("Payment", ("refund", "cancelSeat", "cancelFlight", "cancelHotel")),
        ("Hotel", ("cancelSeat", "cancelFlight")),
        ("Flight", ("cancelHotel",)),
        (None, ("refund", "cancelHotel")),
    ],
)
def test_undos_of_parallel_steps_may_run_in_any_order(step, undos):
    validate(make_trip(Scenario("X", step, undos)))


@pytest.mark.parametrize(
    ("step", "undos", "message"),
    [
        (
            "Payment",
            ("cancelFlight", "cancelHotel", "cancelSeat"),
            '"cancelSeat" is out of order; undos run in reverse: refund, cancelHotel, cancelSeat, '
            "cancelFlight, those of parallel steps in any order",
        ),
        (
            "Flight",
            ("cancelHotel", "cancelSeat"),
            '"cancelSeat" undoes a step after "Flight"; remove it, or say which step fails with '
            "the field step",
        ),
    ],
)
def test_undos_that_contradict_the_graph_are_refused(step, undos, message):
    [(_, text)] = faults(make_trip(Scenario("X", step, undos)))

    assert text == message


ITEMS = st.recursive(
    st.integers(0, 9),
    lambda item: (
        st.lists(st.lists(item, min_size=1, max_size=3), min_size=2, max_size=3)
        .map(tuple)
        .map(Group)
    ),
    max_leaves=12,
)
FLOWS = st.lists(ITEMS, min_size=1, max_size=4)


def steps_of(flow):
    """Return the steps of a flow in the order of writing, without what comes before them."""
    for item in flow:
        if isinstance(item, Group):
            for branch in item.branches:
                yield from steps_of(branch)
        else:
            yield item


def pairs_in_order(flow, numbers):
    """Yield the pairs of places of which one must be done before the other, by definition."""
    done = []
    for item in flow:
        if isinstance(item, Group):
            inside = []
            for branch in item.branches:
                branch_numbers = [next(numbers) for _ in steps_of(branch)]
                yield from pairs_in_order(branch, iter(branch_numbers))
                inside += branch_numbers
        else:
            inside = [next(numbers)]
        yield from ((earlier, later) for earlier in done for later in inside)
        done += inside


@given(FLOWS)
def test_a_group_means_that_all_before_it_is_done_and_nothing_beside_it(flow):
    flat = flatten(flow)
    steps = [make_step(f"S{place}", after=after) for place, (_, after) in enumerate(flat)]

    assert [item for item, _ in flat] == list(steps_of(flow))
    wanted = set(pairs_in_order(flow, iter(range(len(flat)))))
    before = ancestors(steps)
    assert {(a, b) for b in range(len(steps)) for a in before[b]} == wanted


@given(FLOWS)
def test_any_graph_survives_its_spec(flow):
    steps = [make_step(f"S{place}", after=after) for place, (_, after) in enumerate(flatten(flow))]
    definition = make_definition(*steps)

    assert from_spec(to_spec(definition), version=0) == definition
