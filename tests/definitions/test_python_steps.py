"""What a class can say besides calling a service means the same as in YAML."""

from datetime import timedelta

import pytest

from sagas.core.definition import StepType, to_spec
from sagas.definitions import (
    DefinitionError,
    Saga,
    approval,
    parallel,
    read_yaml,
    signal,
    step,
    sub_saga,
    timer,
)
from tests.definitions.builders import FILE
from tests.definitions.test_python_format import make_step, problems_of_class
from tests.definitions.test_yaml_steps import TRIP


class TripUnknown(Exception): ...


def probe(call): ...


def reserve(call): ...


def book(name, service, action="book", compensation="cancel", **more):
    return step(name, service=service, action=action, compensation=compensation, **more)


def order_of(**attributes):
    saga = type("Trip", (Saga,), attributes)
    return [(item.name, item.after) for item in saga.definition().steps]


def test_everything_is_the_same_in_both_formats():
    class SendParts(Saga):
        send = make_step()

    class Trip(
        Saga,
        priority="high",
        search={"trip": "input.tripId", "email": "input.customer.email"},
        locks=["trip:{input.tripId}"],
        on_locked="refuse",
    ):
        ask = step(
            "Ask",
            service="Desk",
            action="ask",
            compensation=None,
            on_unknown="probe",
            probe="trips/asked",
            non_retryable=[TripUnknown, "java.lang.IllegalState"],
            input="input.trip",
            output={"price": "offer.price", "currency": "offer.currency"},
        )
        flight = book("Flight", "Flights")
        seat = book("Seat", "Flights", "seat", "unseat")
        together = parallel(
            [flight, seat],
            book("Hotel", "Hotels"),
            parallel(book("Car", "Cars"), book("Bike", "Bikes")),
        )
        approve = approval(
            "Approve",
            by="여행 담당",
            when="outputs.Ask.price > `1000`",
            timeout=timedelta(days=2),
            on_timeout="continue",
        )
        pay = step(
            "Pay",
            service="Bank",
            action="pay",
            kind="pivot",
            input={"amount": "outputs.Ask.price", "trip": "input.tripId"},
            locks=["card:{input.card}", "desk"],
        )
        parts = sub_saga(
            "Parts", saga=SendParts, input="outputs.Pay", timeout="1h", kind="retriable"
        )
        cool_down = timer("CoolDown", wait="10m")
        morning = timer("Morning", until="input.morning", after=[pay])
        picked = signal("Picked", signal="parcelPickedUp", after=[morning, "CoolDown", parts])

    from_yaml = read_yaml(TRIP, filename=FILE)
    assert Trip.definition() == from_yaml
    # The stored text is compared, so 2 and 2.0 must not differ.
    assert repr(to_spec(Trip.definition())) == repr(to_spec(from_yaml))


def test_a_group_takes_its_steps_to_where_it_stands():
    a, b, c = make_step(), make_step(), make_step()

    assert order_of(a=a, b=b, c=c, both=parallel(c, a)) == [("b", None), ("c", None), ("a", (0,))]


def test_a_group_may_be_a_branch_of_another():
    a, b, c = make_step(), make_step(), make_step()
    inner = parallel(a, b)

    assert order_of(
        a=a, b=b, c=c, inner=inner, outer=parallel([inner, c], make_step(name="d"))
    ) == [
        ("a", None),
        ("b", ()),
        ("c", (0, 1)),
        ("d", ()),
    ]


def test_a_subclass_may_replace_a_step_of_a_group():
    class Trip(Saga):
        flight = make_step()
        hotel = make_step()
        together = parallel(flight, hotel)
        pay = make_step(after=[hotel])

    class ShortTrip(Trip):
        hotel = make_step(name="Hostel", action="sleep")

    assert [(s.name, s.action, s.after) for s in ShortTrip.definition().steps] == [
        ("flight", "do", None),
        ("Hostel", "sleep", ()),
        ("pay", "do", None),
    ]


def test_a_probe_may_be_a_callable():
    class Trip(Saga):
        flight = step(action=reserve, compensation=None, on_unknown="probe", probe=probe)

    assert Trip.definition().steps[0].probe == "probe"
    assert Trip.local_actions()["Trip", "probe"] is probe


def test_another_saga_may_be_left_as_it_is():
    class Trip(Saga):
        parts = sub_saga(saga="SendParts", compensation=None)

    [parts] = Trip.definition().steps
    assert (parts.type, parts.participant, parts.compensation) == (
        StepType.SAGA,
        "SendParts",
        None,
    )


@pytest.mark.parametrize(
    ("declared", "field", "message"),
    [
        (timer(), "wait", "is missing; say how long, or until when"),
        (timer(wait=10), "wait", '"10" is no duration; write for example "10s"'),
        (
            timer(wait="1h", until="input.at"),
            "until",
            "is a second end of this timer; keep one of the two",
        ),
        (timer(wait="1h", when=None), "when", '"None" is no text; put it in quotes'),
        (timer(until=5), "until", '"5" is no text; put it in quotes'),
        (signal(signal=""), "signal", "is empty; give it a name"),
        (
            signal(signal="go", timeout="soon"),
            "timeout",
            '"soon" is no duration; write for example',
        ),
        (
            signal(signal="go", on_timeout="continue"),
            "on_timeout",
            "needs a timeout; without one the step waits for ever",
        ),
        (approval(by=5), "by", '"5" is no text; put it in quotes'),
        (sub_saga(saga=5), "saga", '"5" is no text; put it in quotes'),
        (
            sub_saga(saga="Travel"),
            "saga",
            '"Travel" is this saga; it would start itself without end',
        ),
        (sub_saga(saga="Other", kind="odd"), "kind", '"odd" is not one of compensatable, pivot'),
        (make_step(when=5), "when", '"5" is no text; put it in quotes'),
        (make_step(when="inputs.x"), "when", '"inputs.x" reads "inputs", which is not there; '),
        (make_step(input=[]), "input", '"[]" is no text; put it in quotes'),
        (make_step(input={}), "input", "must be a mapping of at least one field"),
        (make_step(output={"a": "["}), "output", '"[" is no expression: it '),
        (make_step(locks="desk"), "locks", "must be a list of texts"),
        (make_step(locks=[""]), "locks", "is empty; write something or leave it out"),
        (make_step(non_retryable="Gone"), "non_retryable", "must be a list of classes of errors"),
        (make_step(probe="ask"), "probe", "is never asked; let unknown outcomes be probed, or"),
        (
            make_step(on_unknown="probe"),
            "on_unknown",
            "probe needs the field probe: the action that tells the outcome",
        ),
        (make_step(after="pay"), "after", "must be a list of steps"),
        (make_step(after=["Pay"]), "after", '"Pay" is no step; only steps above may be named'),
        (
            make_step(after=[make_step(name="Elsewhere")]),
            "after",
            '"Elsewhere" is no step; only steps above may be named',
        ),
    ],
)
def test_a_problem_of_a_step_names_its_attribute(declared, field, message):
    [(place, text)] = problems_of_class(pay=declared)

    assert place == f"Travel.pay.{field}"
    assert text.startswith(message)


@pytest.mark.parametrize(
    ("group", "field", "message"),
    [
        (
            parallel(make_step(name="A")),
            "together",
            "must be a list of two or more branches, each a step or a list of steps",
        ),
        (
            parallel(make_step(name="A"), []),
            "together",
            "has an empty branch; write a step, or remove it",
        ),
        (
            parallel(make_step(name="A"), "B"),
            "together",
            '"B" is no step; write step(...)',
        ),
        (
            parallel(make_step(name="A"), make_step()),
            "step.name",
            "is missing; a step written inside a group has no other name",
        ),
        (
            parallel(make_step(name="A"), make_step(name="B", after=["A"])),
            "B.after",
            "has no place in a parallel group, whose branches say what comes first; take the step "
            "out of the group, or remove it",
        ),
    ],
)
def test_a_problem_of_a_group_names_its_attribute(group, field, message):
    assert (f"Travel.{field}", message) in problems_of_class(together=group)


@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        (
            {"priority": "urgent"},
            "priority",
            '"urgent" is no priority; write high, normal, low, or',
        ),
        ({"priority": True}, "priority", '"True" is no priority; write high, normal, low, or'),
        ({"priority": -101}, "priority", "is -101; it must be -100 to 100"),
        ({"search": "input.id"}, "search", "must be a mapping of at least one field"),
        (
            {"search": {"id": "outputs.A"}},
            "search",
            '"outputs.A" reads outputs, which is not there',
        ),
        ({"locks": "desk"}, "locks", "must be a list of texts"),
        ({"on_locked": "explode"}, "on_locked", '"explode" is not one of wait, refuse'),
    ],
)
def test_a_problem_of_the_class_names_its_field(options, field, message):
    [(place, text)] = problems_of_class(pay=make_step(), options=options)

    assert place == f"Travel.{field}"
    assert text.startswith(message)


def test_a_problem_names_the_line_of_a_step_in_a_group():
    with pytest.raises(DefinitionError) as caught:

        class Trip(Saga):
            together = parallel(
                book("Flight", "Flights"),
                step("Hotel", service="Hotels", action="a", compensation="b", timeout="soon"),
            )

    [problem] = caught.value.problems
    assert (problem.file, problem.field) == (__file__, "Trip.Hotel.timeout")
