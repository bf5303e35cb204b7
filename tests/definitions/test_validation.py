"""The rules, on definitions that no format has read."""

import math

import pytest

from sagas.core.definition import Kind, RetryPolicy, Scenario
from sagas.definitions import DefinitionError, Place, validate
from tests.definitions.builders import make_definition, make_step


def faults(definition, **options):
    with pytest.raises(DefinitionError) as caught:
        validate(definition, **options)
    return [(problem.field, problem.message) for problem in caught.value.problems]


def test_a_correct_definition_has_no_problems():
    validate(make_definition(), participants=["FlightService"])


def test_a_saga_needs_a_step():
    assert faults(make_definition(steps=())) == [
        ("steps", "has no steps; a saga needs at least one")
    ]


def test_a_saga_has_a_limit_of_steps():
    steps = [make_step(f"Step{n}") for n in range(101)]

    assert faults(make_definition(*steps)) == [("steps", "has 101 steps; the most is 100")]


def test_step_names_are_unique():
    assert faults(make_definition(make_step("A"), make_step("B"), make_step("A"))) == [
        (
            "steps[2].name",
            '"A" is already the name of step 1; give each step a name of its own',
        )
    ]


@pytest.mark.parametrize("field", ["name", "participant", "action", "compensation"])
def test_names_have_only_safe_characters(field):
    step = make_step()._replace(**{field: "Flight Service"})

    assert faults(make_definition(step)) == [
        (
            f"steps[0].{field}",
            '"Flight Service" is no name: it begins with a letter or digit of ASCII and has only '
            "letters, digits, _ . and -; write for example FlightService",
        )
    ]


@pytest.mark.parametrize("name", ["", "..", "-x", "a/b", "항공", "a\nb", "a\0", "\ud800"])
def test_names_that_could_break_an_address_or_a_header_are_refused(name):
    assert faults(make_definition(name=name))[0][0] == "name"


def test_an_action_may_have_several_parts():
    validate(make_definition(make_step(action="flights/v2/reserve")))
    assert (
        faults(make_definition(make_step(action="flights/../reserve")))[0][0] == "steps[0].action"
    )


def test_names_have_at_most_100_characters():
    validate(make_definition(name="x" * 100))
    assert faults(make_definition(name="x" * 101)) == [
        ("name", "has 101 characters; a name may have at most 100")
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"description": "a\0"}, "description"),
        ({"invariants": ("fine", "\ud800")}, "invariants[1]"),
        ({"scenarios": (Scenario("a\x1b", None, ()),)}, "scenarios[0].name"),
        ({"scenarios": (Scenario("a", None, (), ("(\0)",)),)}, "scenarios[0].compensations"),
    ],
)
def test_texts_have_no_control_characters(changes, field):
    [(place, message)] = faults(make_definition(**changes))

    assert place == field
    assert message.startswith("has the control character")


def test_texts_may_be_in_any_language_and_have_lines():
    validate(make_definition(description="여행 예약\n\t👨‍👩‍👧", invariants=("보상은 멱등",)))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (RetryPolicy(0), "has 0 attempts; it must have 1 to 1000"),
        (RetryPolicy(1001), "has 1001 attempts; it must have 1 to 1000"),
        (RetryPolicy(3, factor=0.5), "has a factor of 0.5; it must be 1 to 100"),
        (RetryPolicy(3, factor=math.nan), "has a factor of nan; it must be 1 to 100"),
        (
            RetryPolicy(1000, factor=100),
            "grows too far with a factor of 100; lower it, or the attempts",
        ),
        (RetryPolicy(3, initial_s=-1), "has a first pause of -1 seconds; it must be 0 to 365d"),
        (
            RetryPolicy(3, initial_s=2, cap_s=1),
            "has a cap of 1s and a first pause of 2s; the cap must be the longer one",
        ),
        (
            RetryPolicy(3, total_s=0),
            "has a total of 0 seconds; it must be more than 0, at most 365d",
        ),
    ],
)
def test_a_policy_that_cannot_be_followed_is_refused(policy, message):
    assert faults(make_definition(make_step(retry=policy))) == [("steps[0].retry", message)]
    assert faults(make_definition(make_step(undo_retry=policy))) == [
        ("steps[0].undo_retry", message)
    ]


@pytest.mark.parametrize("policy", [RetryPolicy(1000), RetryPolicy(150, factor=100)])
def test_the_longest_policies_that_are_allowed_can_be_computed(policy):
    validate(make_definition(make_step(retry=policy)))

    assert policy.delay_s(policy.attempts) <= 60


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_timeouts_are_above_zero_and_end(seconds):
    [(field, message)] = faults(make_definition(make_step(timeout_s=seconds)))

    assert field == "steps[0].timeout_s"
    assert message == f"is {seconds:g} seconds; it must be more than 0 and at most 365d"


def test_the_saga_timeout_covers_those_of_its_steps():
    steps = [make_step("A", timeout_s=10.0), make_step("B", timeout_s=15.0)]

    validate(make_definition(*steps, timeout_s=25.0))
    assert faults(make_definition(*steps, timeout_s=20.0)) == [
        ("timeout_s", "20s is less than the step timeouts together; write at least 25s")
    ]


def test_after_the_pivot_only_retriable_steps_come():
    steps = [make_step("A"), make_step("B", kind=Kind.PIVOT), make_step("C", kind=Kind.RETRIABLE)]

    validate(make_definition(*steps))
    assert faults(make_definition(*steps, make_step("D"))) == [
        (
            "steps[3].kind",
            'compensatable after the pivot "B"; make it retriable, or move it before the pivot',
        )
    ]


def test_a_saga_has_one_pivot():
    steps = [make_step("A", kind=Kind.PIVOT), make_step("B", kind=Kind.PIVOT)]

    assert faults(make_definition(*steps)) == [
        ("steps[1].kind", 'pivot a second time, after "A"; a saga has one point of no return')
    ]


@pytest.mark.parametrize("later", [(), (make_step("B", kind=Kind.PIVOT),)])
def test_a_retriable_step_needs_a_pivot_before_it(later):
    steps = [make_step("A", kind=Kind.RETRIABLE), *later]

    assert faults(make_definition(*steps)) == [
        (
            "steps[0].kind",
            "retriable without a pivot before it; give the step that is the point of no return "
            "kind pivot",
        )
    ]


def test_unknown_participants_are_reported_where_the_known_are_given():
    definition = make_definition(make_step(participant="FligthService"))

    validate(definition)
    assert faults(definition, participants=["HotelService", "FlightService"]) == [
        (
            "steps[0].participant",
            'there is no participant "FligthService"; did you mean FlightService?',
        )
    ]
    assert faults(definition, participants=[]) == [
        ("steps[0].participant", 'there is no participant "FligthService"; none is registered')
    ]


def make_travel(*scenarios):
    steps = [
        make_step("Flight", compensation="cancelFlight"),
        make_step("Hotel", compensation="cancelHotel"),
        make_step("Insurance", compensation=None),
        make_step("Payment", compensation="refund"),
    ]
    return make_definition(*steps, scenarios=scenarios)


@pytest.mark.parametrize(
    ("step", "compensations"),
    [
        ("Payment", ("cancelHotel", "cancelFlight")),
        ("Payment", ("refund", "cancelHotel", "cancelFlight")),
        ("Payment", ("cancelFlight",)),
        ("Flight", ()),
        (None, ("refund", "cancelFlight")),
    ],
)
def test_a_scenario_lists_undos_in_reverse_order(step, compensations):
    validate(make_travel(Scenario("X", step, compensations)))


@pytest.mark.parametrize(
    ("scenario", "field", "message"),
    [
        (
            Scenario("X", "Payment", ("cancelFlight", "cancelHotel")),
            "compensations[1]",
            '"cancelHotel" is out of order; undos run in reverse: '
            "refund, cancelHotel, cancelFlight",
        ),
        (
            Scenario("X", None, ("refund", "refund")),
            "compensations[1]",
            '"refund" is out of order; undos run in reverse: refund, cancelHotel, cancelFlight',
        ),
        (
            Scenario("X", "Hotel", ("refund", "cancelFlight")),
            "compensations[0]",
            '"refund" undoes a step after "Hotel"; remove it, or say which step fails with the '
            "field step",
        ),
        (
            Scenario("X", "Payment", ("cancelHotels",)),
            "compensations[0]",
            '"cancelHotels" is the compensation of no step; did you mean cancelHotel?',
        ),
        (Scenario("X", "Hotels", ()), "step", 'there is no step "Hotels"; did you mean Hotel?'),
        (Scenario("x" * 101, None, ()), "name", "must have 1 to 100 characters"),
    ],
)
def test_a_scenario_that_cannot_happen_is_refused(scenario, field, message):
    assert faults(make_travel(scenario)) == [(f"scenarios[0].{field}", message)]


def test_all_problems_are_reported_at_once_where_the_callback_says():
    definition = make_definition(make_step("A B", timeout_s=0), name="")

    def locate(path):
        return Place("travel.yaml", 7, 3, "/".join(map(str, path)))

    with pytest.raises(DefinitionError) as caught:
        validate(definition, locate=locate)

    assert [problem[:4] for problem in caught.value.problems] == [
        ("travel.yaml", 7, 3, "steps/0/timeout_s"),
        ("travel.yaml", 7, 3, "name"),
        ("travel.yaml", 7, 3, "steps/0/name"),
        ("travel.yaml", 7, 3, "steps/0/compensation"),
    ]
