"""Files that hold no saga: whatever they hold, the only error is DefinitionError."""

import time
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sagas.definitions import DefinitionError, read_yaml
from sagas.definitions.yaml_format import SAGA_FIELDS, SCENARIO_FIELDS
from sagas.definitions.yaml_steps import POLICY_FIELDS, STEP_FIELDS
from tests.definitions.builders import FILE, make_yaml, problems_of
from tests.definitions.test_yaml_steps import TRIP

EMPTY = "is empty; a definition begins with the line saga:"
NOT_SAGA = "must begin with the line saga:, with all its fields indented below it"
NULLS = "saga: {name: , type: , steps: [{name: , service: , action: , timeout: ~}, null], ~: ~}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", f": {EMPTY}"),
        ("# only a comment\n", f": {EMPTY}"),
        ("---\n...\n", f": {EMPTY}"),
        ("~", f": {EMPTY}"),
        ("saga", f":1: {NOT_SAGA}"),
        ("- saga", f":1: {NOT_SAGA}"),
        ("\n\nname: T\nsteps: []\n", f":3: {NOT_SAGA}"),
        ("events: {}", ":1: has event contracts (events:), not a saga (saga:)"),
        (
            "saga: 5",
            ":1: saga: must be a mapping with the fields name, type, version, description, "
            "orchestrator, timeout, onFailure, priority, searchAttributes, locks, onLocked, steps, "
            "failureScenarios, invariants",
        ),
        (
            "saga:\n\tname: T",
            ":2: is no YAML: while scanning for the next token, found character '\\t' that cannot "
            "start any token; indent with spaces, not with tabs",
        ),
        (
            "saga: [",
            ":1: is no YAML: while parsing a flow node, expected the node content, but found "
            "'<stream end>'",
        ),
        ("saga:\n  name: a\0", ':2: has the character "\\x00", which YAML does not allow'),
        ("saga: {name: \ud800}", ':1: has the character "\\ud800", which YAML does not allow'),
        (
            make_yaml() + "---\nsaga: {}\n",
            ":8: a second document begins here; put each saga into a file of its own",
        ),
        ("a: &x [1]\nsaga: *x", ":2: aliases are not allowed; write the value out"),
        (
            "saga: !!python/object/apply:os.system [exit]",
            ':1: the tag "tag:yaml.org,2002:python/object/apply:os.system" is not allowed; '
            "remove it",
        ),
        ("saga: " + "[" * 50 + "]" * 50, ":1: this is nested too deeply for a saga"),
        ("saga: " + "x" * 262_144, ": is larger than 256 KiB; a saga is far smaller"),
    ],
)
def test_a_file_that_is_no_saga_says_why(text, problem):
    assert problems_of(text) == [f"{FILE}{problem}"]


def test_fields_beside_the_saga_are_refused():
    assert problems_of(make_yaml() + "owner: me\n") == [
        f"{FILE}:8: owner: is no field; known are saga"
    ]


@pytest.mark.parametrize(
    "text",
    [
        NULLS,
        "saga: {steps: {a: 1}, invariants: {a: 1}, failureScenarios: 5}",
        "saga: {steps: [[], 5, null, {}, {name: {}}]}",
        "saga: {steps: [{retryPolicy: [], compensation: {}, kind: [], onUnknown: {}}]}",
        "saga: {name: 9" + "9" * 5000 + ", version: 9" + "9" * 5000 + "}",
        'saga: {name: "\\UFFFFFFFF"}',
        'saga: {name: "\\ud800", description: "\\0"}',
        "%YAML " + "9" * 5000 + ".1\n---\nsaga: {}",
        "saga: {<<: {name: T}, =: 5}",
        "saga: {failureScenarios: [{scenario: ~, compensations: ~, step: ~}]}",
        "? {a: b}\n: c",
        "? saga\n",
        "saga: !unknown {}",
        "saga: !!binary aGk=",
        "!<tag:yaml.org,2002:map> {}",
        "saga: &a {a: *a}",
        "\ufeffsaga: {}",
        "saga:\r\n  name: [\r\n",
    ],
)
def test_odd_files_are_refused_with_a_definition_error(text):
    assert problems_of(text)


def test_a_byte_order_mark_does_no_harm():
    assert read_yaml("\ufeff" + make_yaml(), filename=FILE).name == "Travel"


@pytest.mark.parametrize(
    "text",
    [
        "saga: " + "[" * 262_000,
        "saga: {a: " * 26_000,
        "saga: [" + "&a a, " * 43_000 + "]",
        "saga: {steps: [" + "{name: A}, " * 23_000 + "]}",
        "saga: {steps: [" + "{name: A, wait: 1s}, " * 12_000 + "]}",
        "saga: {steps: [parallel: [" + "{name: A, wait: 1s}, " * 12_000 + "]]}",
        "saga: {failureScenarios: [" + "{scenario: PaymentFailed}, " * 9_000 + "]}",
        "saga: {" + ", ".join(f"x{n}: 1" for n in range(20_000)) + "}",
    ],
)
def test_a_huge_file_is_refused_in_seconds(text):
    started = time.process_time()

    assert problems_of(text)
    assert time.process_time() - started < 20


FIELDS = st.sampled_from(
    [*SAGA_FIELDS, *STEP_FIELDS, *SCENARIO_FIELDS, *POLICY_FIELDS, "parallel"],
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("none"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(FIELDS, VALUES))
def test_no_data_raises_anything_but_a_definition_error(data):
    text = yaml.safe_dump({"saga": data}, allow_unicode=True)
    with suppress(DefinitionError):
        read_yaml(text, filename=FILE)


@given(st.text() | st.text("saga: {}[]-&*!|>\"'%@#\\\n\tsteps0~?,"))
def test_no_text_raises_anything_but_a_definition_error(text):
    with pytest.raises(DefinitionError):
        read_yaml(text, filename=FILE)


@given(st.integers(0, 400), st.integers(0, 30), st.text(max_size=5))
def test_no_damage_to_a_file_raises_anything_but_a_definition_error(start, length, text):
    whole = make_yaml(
        step="timeout: 10s\nretryPolicy: {attempts: 3}\nkind: compensatable",
        saga="failureScenarios:\n  - scenario: FlightFailed\n    compensations: [(none)]",
    )
    damaged = whole[:start] + text + whole[start + length :]
    with suppress(DefinitionError):
        read_yaml(damaged, filename=FILE)


STEPS = st.recursive(
    st.dictionaries(FIELDS, VALUES, max_size=5) | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.fixed_dictionaries({"parallel": inner}),
    max_leaves=8,
)


@given(st.lists(STEPS, max_size=4) | STEPS)
def test_no_steps_raise_anything_but_a_definition_error(steps):
    text = yaml.safe_dump({"saga": {"name": "T", "steps": steps}}, allow_unicode=True)
    with suppress(DefinitionError):
        read_yaml(text, filename=FILE)


@given(st.integers(0, len(TRIP)), st.integers(0, 30), st.text(max_size=5))
def test_no_damage_to_a_graph_raises_anything_but_a_definition_error(start, length, text):
    with suppress(DefinitionError):
        read_yaml(TRIP[:start] + text + TRIP[start + length :], filename=FILE)
