"""Each problem of a YAML file: its line, its field, and how to mend it."""

import pytest

from sagas.definitions import DefinitionError, read_yaml
from tests.definitions.builders import FILE, make_yaml, problems_of


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (
            "timeout: 10 sec",
            'timeout: "10 sec" is no duration; write for example 10s, 500ms, 5m',
        ),
        ("timeout: 10", "timeout: 10 has no unit; write for example 10s"),
        ("timeout: 0s", "timeout: is 0 seconds; it must be more than 0 and at most 365d"),
        ("timeout:", "timeout: is empty; write a value or remove the field"),
        (
            "timeout: [10s]",
            "timeout: is a list; write a single value, in quotes if it has a colon",
        ),
        (
            "timeout: {of: 10s}",
            "timeout: is a mapping; write a single value, in quotes if it has a colon",
        ),
        (
            "retryPolicy: exponental(3)",
            'retryPolicy: "exponental(3)" is no retry policy; did you mean exponentialBackoff?',
        ),
        (
            "retryPolicy: exponentialBackoff(0)",
            "retryPolicy: has 0 attempts; it must have 1 to 1000",
        ),
        (
            "undoRetryPolicy: {attempts: 0}",
            "undoRetryPolicy: has 0 attempts; it must have 1 to 1000",
        ),
        ("retryPolicy: {initial: 1s}", "retryPolicy.attempts: is missing; add it"),
        (
            "retryPolicy: {attempts: 3, initial: 1 s}",
            'retryPolicy.initial: "1 s" is no duration; write for example 10s, 500ms, 5m',
        ),
        (
            "retryPolicy: {attempts: 3, delay: 1s}",
            "retryPolicy.delay: is no field; known are attempts, initial, factor, cap, total, "
            "jitter",
        ),
        (
            "retryPolicy: {attempts: 3, factor: .inf}",
            'retryPolicy.factor: ".inf" is no number; write for example 2 or 1.5',
        ),
        (
            "kind: pivotal",
            'kind: "pivotal" is not one of compensatable, pivot, retriable',
        ),
        (
            "kind: retriable",
            "kind: retriable without a pivot before it; give the step that is the point of no "
            "return kind pivot",
        ),
        ("onUnknown: ask", 'onUnknown: "ask" is not one of retry, probe, compensate, park'),
        ("retry_policy: none", "retry_policy: is no field; did you mean retryPolicy?"),
        ("Timeout: 10s", "Timeout: is no field; did you mean timeout?"),
        (
            "colour: red",
            "colour: is no field; known are name, service, action, compensation, kind, timeout, "
            "retryPolicy, undoRetryPolicy, onUnknown, probe, nonRetryable, input, output, when, "
            "after, locks",
        ),
        ("action: twice", "action: is given twice, first in line 6; remove one"),
    ],
)
def test_a_problem_of_a_step_names_its_line_and_field(step, problem):
    assert problems_of(make_yaml(step=step)) == [f"{FILE}:8: saga.steps[0].{problem}"]


@pytest.mark.parametrize(
    ("saga", "problem"),
    [
        (
            "timeout: 10s",
            "timeout: 10s is less than the step timeouts together; write at least 30s",
        ),
        ("version: 0", 'version: "0" is no version; write a whole number from 1'),
        ("version: true", 'version: "true" is no version; write a whole number from 1'),
        ("onFailure: explode", 'onFailure: "explode" is not one of compensate, park'),
        (
            "type: choreography",
            "type: choreography cannot be run yet; only sagas of type orchestration, whose steps "
            "an orchestrator calls, can",
        ),
        ("type: ballet", 'type: "ballet" is no type; write orchestration, or remove the field'),
        ("orchestrator: 5", 'orchestrator: "5" is a number to YAML; put it in quotes'),
        ("description: yes", 'description: "yes" is true or false to YAML; put it in quotes'),
        (
            "description: 2026-01-01",
            'description: "2026-01-01" is a date to YAML; put it in quotes',
        ),
        ("description: ''", "description: is empty; write something or remove the field"),
        ('description: "a\\0"', 'description: has the control character "\\x00"; remove it'),
        ("invariants: one", "invariants: must be a list; begin each entry with a dash"),
        (
            "invariants: [a, 5]",
            'invariants[1]: "5" is a number to YAML; put it in quotes',
        ),
        (
            "failureScenarios: [FlightFailed]",
            "failureScenarios[0]: must be a mapping with the fields scenario, step, compensations",
        ),
        (
            "failureScenarios: [{scenario: FlightFailed}]",
            "failureScenarios[0].compensations: is missing; add it",
        ),
        (
            "failureScenarios: [{scenario: X, compensations: ['(a)', cancelFligth]}]",
            'failureScenarios[0].compensations[1]: "cancelFligth" is the compensation of no step; '
            "did you mean cancelFlight?",
        ),
        (
            "failureScenarios: [{scenario: X, step: Flight, compensations: []}]",
            'failureScenarios[0].step: there is no step "Flight"; did you mean ReserveFlight?',
        ),
        ("step: []", "step: is no field; did you mean steps?"),
        ("5: x", '"5" is a number to YAML; put it in quotes'),
        ("? [a]\n: x", "is a list; write a single value, in quotes if it has a colon"),
    ],
)
def test_a_problem_of_the_saga_names_its_line_and_field(saga, problem):
    name_problem = problem.startswith(('"5"', "is a list"))
    prefix = "saga: has a field whose name " if name_problem else "saga."

    assert problems_of(make_yaml(saga=saga)) == [f"{FILE}:8: {prefix}{problem}"]


def test_missing_fields_are_reported_where_their_mapping_begins():
    text = "saga:\n  steps:\n    - service: FlightService\n"

    assert problems_of(text) == [
        f"{FILE}:1: saga.name: is missing; add it",
        f"{FILE}:3: saga.steps[0].name: is missing; add it",
        f"{FILE}:3: saga.steps[0].action: is missing; add it",
        f"{FILE}:3: saga.steps[0].compensation: is missing; name the action that undoes this step, "
        "or write none if there is nothing to undo",
    ]


def make_flight(extra):
    return f"saga:\n  name: T\n  steps:\n    - {{name: A, service: S, action: a{extra}}}\n"


def test_an_undo_that_is_not_needed_is_declared():
    definition = read_yaml(make_flight(", compensation: none"), filename=FILE)

    assert definition.steps[0].compensation is None


def test_a_pivot_and_what_follows_need_no_undo():
    text = make_flight(", kind: pivot") + (
        "    - {name: B, service: S, action: b, kind: retriable}\n"
    )

    assert [step.compensation for step in read_yaml(text, filename=FILE).steps] == [None, None]


@pytest.mark.parametrize("steps", ["[]", ""])
def test_a_saga_without_steps_is_refused(steps):
    problems = problems_of(f"saga:\n  name: T\n  steps: {steps}\n")

    assert problems == [
        f"{FILE}:3: saga.steps: has no steps; a saga needs at least one"
        if steps
        else f"{FILE}:3: saga.steps: must be a list; begin each entry with a dash"
    ]


def test_duplicate_names_are_reported_at_the_second():
    text = make_yaml() + "    - {name: ReserveFlight, service: S, action: a, compensation: b}\n"

    assert problems_of(text) == [
        f'{FILE}:8: saga.steps[1].name: "ReserveFlight" is already the name of step 1; give each '
        "step a name of its own"
    ]


def test_unknown_participants_are_reported_when_the_known_are_given():
    assert problems_of(make_yaml(), participants={"FlightsService"}) == [
        f'{FILE}:5: saga.steps[0].service: there is no participant "FlightService"; '
        "did you mean FlightsService?"
    ]


def test_all_problems_of_a_file_are_reported_in_its_order():
    text = make_yaml(step="timeout: soon\nkind: odd", saga="onFailure: explode\nversion: one")

    assert [line.split(": ")[:2] for line in problems_of(text)] == [
        [f"{FILE}:8", "saga.steps[0].timeout"],
        [f"{FILE}:9", "saga.steps[0].kind"],
        [f"{FILE}:10", "saga.onFailure"],
        [f"{FILE}:11", "saga.version"],
    ]


def test_a_field_that_cannot_be_read_leads_to_no_further_problems():
    text = make_yaml(
        step="timeout: ages",
        saga="timeout: 1s\nfailureScenarios: [{scenario: X, compensations: [cancelFlight]}]",
    ).replace("compensation: cancelFlight", "compensation: [cancelFlight]")

    assert [line.split(": ")[1] for line in problems_of(text)] == [
        "saga.steps[0].compensation",
        "saga.steps[0].timeout",
    ]


def test_a_problem_knows_its_column():
    with pytest.raises(DefinitionError) as caught:
        read_yaml(make_yaml(step="timeout: 10 sec"), filename=FILE)

    [problem] = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (FILE, 8, 16)
    assert problem.field == "saga.steps[0].timeout"


def test_a_file_with_very_many_problems_shows_the_first_fifty():
    lines = problems_of("saga:\n" + "".join(f"  x{n}: 1\n" for n in range(10_000)))

    assert len(lines) == 51
    assert lines[-1] == f"{FILE}: these are the first 50 problems; mend them and read again"
