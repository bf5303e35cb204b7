"""What steps can say besides calling a service: order, conditions, waits, other sagas."""

from textwrap import indent

import pytest

from sagas.core.definition import (
    Kind,
    OnLocked,
    OnTimeout,
    OnUnknown,
    Step,
    StepType,
    from_spec,
    to_spec,
)
from sagas.definitions import read_yaml
from tests.definitions.builders import FILE, make_yaml, problems_of

TRIP = """\
saga:
  name: Trip
  priority: high
  searchAttributes: {trip: input.tripId, email: input.customer.email}
  locks: ["trip:{input.tripId}"]
  onLocked: refuse
  steps:
    - name: Ask
      service: Desk
      action: ask
      compensation: none
      onUnknown: probe
      probe: trips/asked
      nonRetryable: [TripUnknown, java.lang.IllegalState]
      input: input.trip
      output:
        price: offer.price
        currency: offer.currency
    - parallel:
        - - {name: Flight, service: Flights, action: book, compensation: cancel}
          - {name: Seat, service: Flights, action: seat, compensation: unseat}
        - {name: Hotel, service: Hotels, action: book, compensation: cancel}
        - - parallel:
              - {name: Car, service: Cars, action: book, compensation: cancel}
              - {name: Bike, service: Bikes, action: book, compensation: cancel}
    - name: Approve
      approval: 여행 담당
      when: outputs.Ask.price > `1000`
      timeout: 2d
      onTimeout: continue
    - name: Pay
      service: Bank
      action: pay
      kind: pivot
      input: {amount: outputs.Ask.price, trip: input.tripId}
      locks: ["card:{input.card}", desk]
    - {name: Parts, saga: SendParts, input: outputs.Pay, timeout: 1h, kind: retriable}
    - {name: CoolDown, wait: 10m}
    - {name: Morning, until: input.morning, after: [Pay]}
    - {name: Picked, signal: parcelPickedUp, after: [Morning, CoolDown, Parts]}
"""


def read_trip():
    return read_yaml(TRIP, filename=FILE)


def steps_yaml(*steps, saga=""):
    """Return a saga of these steps, each a line or more that begins in column 7."""
    lines = "".join(f"    - {indent(step, ' ' * 6).lstrip()}\n" for step in steps)
    return f"saga:\n  name: Trip\n  steps:\n{lines}{indent(saga, '  ')}\n"


def call(name, **fields):
    """Return a step that calls a service, in one line."""
    fields = {"service": "S", "action": f"do{name}", "compensation": f"undo{name}"} | fields
    return "{" + ", ".join(f"{k}: {v}" for k, v in {"name": name, **fields}.items()) + "}"


def order_of(text):
    return [(step.name, step.after) for step in read_yaml(text, filename=FILE).steps]


def test_steps_come_in_the_order_of_writing_and_know_what_comes_before_them():
    assert order_of(TRIP) == [
        ("Ask", None),
        ("Flight", None),
        ("Seat", None),
        ("Hotel", (0,)),
        ("Car", (0,)),
        ("Bike", (0,)),
        ("Approve", (2, 3, 4, 5)),
        ("Pay", None),
        ("Parts", None),
        ("CoolDown", None),
        ("Morning", (7,)),
        ("Picked", (8, 9, 10)),
    ]


def test_a_group_may_be_the_beginning():
    group = f"parallel:\n  - {call('A')}\n  - {call('B')}"

    assert order_of(steps_yaml(group, call("C"))) == [("A", None), ("B", ()), ("C", (0, 1))]


def test_a_group_may_follow_a_group():
    first = f"parallel:\n  - {call('A')}\n  - {call('B')}"
    second = f"parallel:\n  - {call('C')}\n  - {call('D')}"

    assert order_of(steps_yaml(first, second)) == [
        ("A", None),
        ("B", ()),
        ("C", (0, 1)),
        ("D", (0, 1)),
    ]


@pytest.mark.parametrize(("after", "place"), [("[]", ()), ("[B]", None), ("[A, A]", (0,))])
def test_a_step_may_name_what_comes_before_it(after, place):
    assert order_of(steps_yaml(call("A"), call("B"), call("C", after=after)))[2] == ("C", place)


def test_a_step_that_names_the_one_before_it_says_nothing_new():
    silent = read_yaml(steps_yaml(call("A"), call("B")), filename=FILE)

    assert read_yaml(steps_yaml(call("A"), call("B", after="[A]")), filename=FILE) == silent


def test_every_field_of_an_action_is_read():
    ask, pay = read_trip().steps[0], read_trip().steps[7]

    assert ask == Step(
        "Ask",
        "Desk",
        "ask",
        on_unknown=OnUnknown.PROBE,
        probe="trips/asked",
        non_retryable=("TripUnknown", "java.lang.IllegalState"),
        input="input.trip",
        output={"price": "offer.price", "currency": "offer.currency"},
    )
    assert (pay.input, pay.locks) == (
        {"amount": "outputs.Ask.price", "trip": "input.tripId"},
        ("card:{input.card}", "desk"),
    )


def test_every_wait_is_read():
    steps = {step.name: step for step in read_trip().steps}

    assert steps["Approve"] == Step(
        "Approve",
        "",
        "approve",
        type=StepType.APPROVAL,
        after=(2, 3, 4, 5),
        when="outputs.Ask.price > `1000`",
        approvers="여행 담당",
        within_s=172_800,
        on_timeout=OnTimeout.CONTINUE,
    )
    assert steps["CoolDown"] == Step("CoolDown", "", "wait", type=StepType.TIMER, wait_s=600)
    assert steps["Morning"].until == "input.morning"
    assert steps["Picked"] == Step(
        "Picked", "", "signal", type=StepType.SIGNAL, signal="parcelPickedUp", after=(8, 9, 10)
    )


def test_an_approval_without_a_group_is_open_to_all_who_may_decide():
    definition = read_yaml(steps_yaml("{name: Approve, approval: true}"), filename=FILE)

    assert definition.steps[0] == Step("Approve", "", "approve", type=StepType.APPROVAL)


@pytest.mark.parametrize(("line", "undo"), [("", "compensate"), (", compensation: none", None)])
def test_another_saga_is_undone_unless_that_is_denied(line, undo):
    definition = read_yaml(steps_yaml(f"{{name: Parts, saga: SendParts{line}}}"), filename=FILE)

    assert definition.steps[0] == Step(
        "Parts", "SendParts", "start", compensation=undo, type=StepType.SAGA
    )


def test_a_saga_says_how_it_is_found_how_urgent_it_is_and_what_it_locks():
    trip = read_trip()

    assert trip.search == (("email", "input.customer.email"), ("trip", "input.tripId"))
    assert (trip.priority, trip.locks, trip.on_locked) == (
        10,
        ("trip:{input.tripId}",),
        OnLocked.REFUSE,
    )


@pytest.mark.parametrize(
    ("text", "priority"), [("high", 10), ("normal", 0), ("low", -10), ("-100", -100), ("7", 7)]
)
def test_a_priority_is_a_word_or_a_number(text, priority):
    definition = read_yaml(make_yaml(saga=f"priority: {text}"), filename=FILE)

    assert definition.priority == priority


def test_all_of_it_survives_its_spec():
    assert from_spec(to_spec(read_trip()), version=0) == read_trip()


def test_a_definition_that_uses_none_of_it_is_stored_as_before():
    [step] = to_spec(read_yaml(make_yaml(), filename=FILE))["steps"]

    assert step == {
        "name": "ReserveFlight",
        "participant": "FlightService",
        "action": "reserveFlight",
        "compensation": "cancelFlight",
    }


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            "wait: 10m, retryPolicy: none",
            "retryPolicy: has no place in a timer, which calls nobody; remove it",
        ),
        (
            "wait: 10m, service: S",
            "service: has no place in a timer, which calls nobody; remove it",
        ),
        (
            "wait: 10m, kind: retriable",
            "kind: has no place in a timer, which calls nobody; remove it: there is no effect "
            "that could be undone",
        ),
        (
            "wait: 10m, signal: go",
            "signal: has no place in a timer, which calls nobody; make it a step of its own",
        ),
        (
            "signal: go, compensation: none",
            "compensation: has no place in a step that waits for a signal, which calls nobody; "
            "remove it",
        ),
        (
            "saga: Other, service: S",
            "service: has no place in a step that starts another saga; remove it",
        ),
        (
            "saga: Other, approval: true",
            "approval: has no place in a step that starts another saga; make it a step of its own",
        ),
        (
            "service: S, action: a, compensation: b, onTimeout: fail",
            "onTimeout: has no place in a step that calls a service; timeout, retry policy and "
            "onUnknown say what happens without an answer",
        ),
        ("wait: 10m, until: input.at", "until: is a second end of this timer; keep one of the two"),
        ("wait: soon", 'wait: "soon" is no duration; write for example 10s, 500ms, 5m'),
        ("wait: 0s", "wait: is 0 seconds; it must be more than 0 and at most 365d"),
        ("until: 'not_null('", 'until: "not_null(" is no expression: it ends too early'),
        ("signal: 5", 'signal: "5" is a number to YAML; put it in quotes'),
        (
            "signal: a b",
            'signal: "a b" is no name: it begins with a letter or digit of ASCII and has only '
            "letters, digits, _ . and -; write for example ab",
        ),
        (
            "signal: go, onTimeout: continue",
            "onTimeout: needs a timeout; without one the step waits for ever",
        ),
        (
            "signal: go, timeout: 1d, onTimeout: explode",
            'onTimeout: "explode" is not one of fail, continue',
        ),
        (
            "signal: go, timeout: 0s",
            "timeout: is 0 seconds; it must be more than 0 and at most 365d",
        ),
        (
            "approval: no",
            "approval: must be true, or the name of the group whose members decide",
        ),
        (f"approval: {'x' * 151}", "approval: has 151 characters; a group's name has at most 150"),
        (
            "saga: Trip",
            'saga: "Trip" is this saga; it would start itself without end',
        ),
        (
            "saga: Other, compensation: undoIt",
            "compensation: can only be none: a saga that was started is undone by its own steps",
        ),
        (
            "saga: Other, kind: pivot",
            "kind: pivot is no kind for a step that starts another saga, because that can be "
            "undone; make a step that calls a service the pivot",
        ),
    ],
)
def test_a_field_that_a_step_has_no_use_for_is_reported(fields, problem):
    assert problems_of(steps_yaml(f"{{name: A, {fields}}}")) == [
        f"{FILE}:4: saga.steps[0].{problem}"
    ]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (
            {"onUnknown": "probe"},
            "onUnknown: probe needs the field probe: the action that tells the outcome",
        ),
        ({"probe": "ask"}, "probe: is never asked; let unknown outcomes be probed, or remove it"),
        (
            {"probe": "a b", "onUnknown": "probe"},
            'probe: "a b" is no name: it begins with a letter or digit of ASCII and has only '
            "letters, digits, _ . and -; write for example ab",
        ),
        ({"nonRetryable": "Gone"}, "nonRetryable: must be a list; begin each entry with a dash"),
        (
            {"nonRetryable": "[Not Found]"},
            'nonRetryable[0]: "Not Found" is no name: it begins with a letter or digit of ASCII '
            "and has only letters, digits, _ . and -; write for example NotFound",
        ),
        ({"when": "'input.x ='"}, 'when: "input.x =" is no expression: it '),
        (
            {"when": "upper(input.x)"},
            'when: "upper(input.x)" is no expression: it calls upper(), which there is not; ',
        ),
        ({"when": "inputs.x"}, 'when: "inputs.x" reads "inputs", which is not there; '),
        (
            {"when": "saga.key"},
            'when: "saga.key" reads "saga.key", which is not there; known are id, business_key',
        ),
        (
            {"input": "{total: outputs.Pai.total}"},
            'input.total: "outputs.Pai.total" reads the output of "Pai", which is no step; '
            "did you mean Pay?",
        ),
        (
            {"input": "outputs.A"},
            'input: "outputs.A" reads the output of "A", which is not done before this step; '
            "let it come before, or read another",
        ),
        (
            {"input": "'outputs.{pay: Pay.id, own: A.id}'"},
            'input: "outputs.{pay: Pay.id, own: A.id}" reads the output of "A", which is not ',
        ),
        ({"input": "{}"}, "input: must be a mapping of at least one field"),
        ({"input": "{a: 5}"}, 'input.a: "5" is a number to YAML; put it in quotes'),
        ({"input": "[a]"}, "input: is a list; write a single value, in quotes if it has a colon"),
        ({"output": "'['"}, 'output: "[" is no expression: it '),
        ({"locks": "order"}, "locks: must be a list; begin each entry with a dash"),
        (
            {"locks": "['order:{input.id']"},
            'locks[0]: "order:{input.id" has a brace without its partner; '
            "write order:{input.orderId}",
        ),
        (
            {"locks": "['order:{outputs.A.id}']"},
            'locks[0]: "outputs.A.id" reads the output of "A", which is not done before',
        ),
        (
            {"after": "[B]"},
            'after[0]: "B" is not above this one; only steps above may be named, so that no '
            "circle can come about",
        ),
        ({"after": "[Pai]"}, 'after[0]: "Pai" is no step; did you mean Pay?'),
    ],
)
def test_a_problem_of_a_step_names_its_line_and_field(fields, problem):
    text = steps_yaml(call("Pay"), call("A", **fields), call("B"))

    [line] = problems_of(text)

    assert line.startswith(f"{FILE}:5: saga.steps[1].{problem}")


@pytest.mark.parametrize(
    ("saga", "problem"),
    [
        (
            "priority: urgent",
            'priority: "urgent" is no priority; write high, normal, low, or -100 ',
        ),
        ("priority: 101", "priority: is 101; it must be -100 to 100"),
        ("onLocked: explode", 'onLocked: "explode" is not one of wait, refuse'),
        (
            "onLocked: refuse",
            "onLocked: says what to do at a lock, but there is none; add locks or remove it",
        ),
        ("locks: ['']", "locks[0]: is empty; write something or remove the field"),
        (f"locks: [{'x' * 201}]", "locks[0]: must have 1 to 200 characters"),
        (
            "locks: ['order:{outputs.ReserveFlight.id}']",
            'locks[0]: "outputs.ReserveFlight.id" reads outputs, which is not there; only input, '
            "saga can be read here",
        ),
        ("searchAttributes: input.id", "searchAttributes: must be a mapping of at least one field"),
        (
            "searchAttributes: {id: input.}",
            'searchAttributes.id: "input." is no expression: it ',
        ),
        (
            "searchAttributes: {order id: input.id}",
            'searchAttributes.order id: "order id" is no name: it begins with a letter or digit',
        ),
        (
            "searchAttributes: {id: input.a, id: input.b}",
            "searchAttributes.id: is given twice; remove one",
        ),
        (
            "searchAttributes: {5: input.id}",
            'searchAttributes: has a field whose name "5" is a number to YAML; put it in quotes',
        ),
    ],
)
def test_a_problem_of_the_saga_names_its_line_and_field(saga, problem):
    [line] = problems_of(make_yaml(saga=saga))

    assert line.startswith(f"{FILE}:8: saga.{problem}")


TWO_BRANCHES = "must be a list of two or more branches, each a step or a list of steps"


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ("parallel: 5", f"saga.steps[0].parallel: {TWO_BRANCHES}"),
        ("parallel: []", f"saga.steps[0].parallel: {TWO_BRANCHES}"),
        (f"parallel: [{call('A')}]", f"saga.steps[0].parallel: {TWO_BRANCHES}"),
        (
            f"parallel: [[], {call('A')}]",
            "saga.steps[0].parallel[0]: is empty; write a step, or remove it",
        ),
        (
            f"parallel: [5, {call('A')}]",
            "saga.steps[0].parallel[0]: must be a mapping with the fields name, service, action",
        ),
        (
            f"{{parallel: [{call('A')}, {call('B')}], name: Both}}",
            "saga.steps[0]: has fields beside parallel; write them at the steps of the group",
        ),
        (
            f"parallel: [{call('A')}, {call('B', after='[A]')}]",
            "saga.steps[0].parallel[1].after: has no place in a parallel group, whose branches "
            "say what comes first; take the step out of the group, or remove it",
        ),
        (
            f"parallel: [{call('A')}, [{call('B')}, {call('C', timeout='soon')}]]",
            'saga.steps[0].parallel[1][1].timeout: "soon" is no duration; write for example',
        ),
        (
            f"parallel: [{call('A')}, {{parallel: [{call('B')}, {call('C', kind='odd')}]}}]",
            'saga.steps[0].parallel[1].parallel[1].kind: "odd" is not one of',
        ),
        (
            f"parallel: [{call('A')}, {call('B', input='outputs.A')}]",
            'saga.steps[0].parallel[1].input: "outputs.A" reads the output of "A", which is not '
            "done before this step",
        ),
        (
            f"parallel: [{call('A')}, {call('B', kind='pivot')}]",
            'saga.steps[0].parallel[0]: may run at the same time as the pivot "B"; let it come '
            "before or after it",
        ),
    ],
)
def test_a_problem_of_a_group_names_its_line_and_field(group, problem):
    [line] = problems_of(steps_yaml(group))

    assert line.startswith(f"{FILE}:4: {problem}")


def test_a_file_has_at_most_a_hundred_steps_however_they_are_grouped():
    group = "parallel:" + "".join(f"\n  - {call(f'A{n}')}" for n in range(101))

    assert problems_of(steps_yaml(group)) == [
        f"{FILE}:3: saga.steps: has 101 steps; the most is 100"
    ]


def test_groups_may_be_nested_but_not_without_end():
    def nested(depth):
        inner = call(f"Inner{depth}") if depth == 0 else f"{{parallel: {nested(depth - 1)}}}"
        return f"[[{call(f'A{depth}')}, {inner}], {call(f'B{depth}')}]"

    assert len(order_of(steps_yaml(f"parallel: {nested(3)}"))) == 9
    assert problems_of(steps_yaml(f"parallel: {nested(9)}")) == [
        f"{FILE}:4: this is nested too deeply for a saga"
    ]


def test_a_step_after_the_pivot_is_retriable_or_a_wait_that_cannot_fail():
    pivot = call("Pay", kind="pivot")
    good = [
        call("Ship", kind="retriable"),
        "{name: Pause, wait: 1h}",
        "{name: Picked, signal: picked}",
        "{name: Seen, approval: true, timeout: 1d, onTimeout: continue}",
    ]

    kinds = [step.kind for step in read_yaml(steps_yaml(pivot, *good), filename=FILE).steps]
    assert kinds[1] == Kind.RETRIABLE
    assert problems_of(steps_yaml(pivot, "{name: Picked, signal: picked, timeout: 1d}")) == [
        f'{FILE}:5: saga.steps[1].onTimeout: fail after the pivot "Pay", from where there is no '
        "way back; let the saga continue, or remove the timeout"
    ]


def test_a_participant_is_looked_for_only_where_one_is_called():
    steps = ["{name: Parts, saga: SendParts}", "{name: Pause, wait: 1h}", call("A")]

    read_yaml(steps_yaml(*steps), filename=FILE, participants={"S"})
