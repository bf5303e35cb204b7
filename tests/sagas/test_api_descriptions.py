"""Descriptions of existing APIs: what is refused, and that every problem says where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from sagas.models import Participant
from sagas.participants.descriptions import DescriptionError, read_description
from sagas.participants.secrets import Holder
from tests.builders import make_participant

PAYMENT = Holder("Payment", "https://api.pay.example")


def describe(**action: Any) -> dict[str, Any]:
    return {"actions": {"refund": {"path": "/refunds"} | action}}


def problems_of(data: Any) -> list[str]:
    with pytest.raises(DescriptionError) as refused:
        read_description(data, PAYMENT)
    return refused.value.problems


def test_a_short_description_is_enough() -> None:
    refund = read_description(describe(), PAYMENT)["refund"]

    assert (refund.method, refund.idempotency_header) == ("POST", "Idempotency-Key")
    assert (refund.rules, refund.probe, refund.secrets) == ((), None, frozenset())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ([], "It: must be an object with headers, idempotency_header, actions"),
        ({}, "actions: must be an object with at least one field"),
        ({"actions": {}}, "actions: must be an object with at least one field"),
        ({"action": {}, "actions": {"a": {"path": "/"}}}, "action: is no field; did you mean ac"),
        ({"actions": {"refund": "POST /"}}, "actions.refund: must be an object with method"),
        ({"actions": {"refund": {}}}, "actions.refund.path: is missing; write for example"),
        (describe(path="refunds"), "actions.refund.path: must begin with a slash"),
        (describe(path="{input.url}/x"), "actions.refund.path: must begin with a slash"),
        (describe(path="/x?a={input.a}"), 'what comes after it belongs under "query"'),
        (describe(path="/x/{input.id"), "actions.refund.path: has a brace that does not pair"),
        (describe(path="/x/{inputs.id}"), "reads 'inputs', which there is not; did you mean input"),
        (describe(path="/x/{input.}"), "actions.refund.path: The expression 'input.' ends too"),
        (describe(path="/x/${env:SAGADESK_PARTICIPANT_SECRET_A}"), "secrets are for headers only"),
        (describe(path="/a\nb"), "holds what is not printable"),
        (describe(path=7), "actions.refund.path: must be a text, not 7"),
        (describe(method="FETCH"), 'actions.refund.method: "FETCH" is not one of GET, POST'),
        (describe(method=["GET"]), "actions.refund.method: "),
        (describe(method="GET", json={}), "actions.refund.json: does not go with GET"),
        (describe(form={}, json={}), "actions.refund.form: does not go with GET, nor with another"),
        (describe(json={"a": {"b": "input["}}), "actions.refund.json: in a: in b: The expression"),
        (describe(query={"a": 7}), "actions.refund.query.a: must be an expression in quotes"),
        (describe(query=[]), "actions.refund.query: must be an object"),
        (describe(output="bdy.id"), "actions.refund.output: The expression 'bdy.id' reads 'bdy'"),
        (describe(query={"a": "body.id"}), "actions.refund.query.a: The expression 'body.id' re"),
        (describe(headers={"X Y": "a"}), 'actions.refund.headers.X Y: "X Y" is no name of a h'),
        (describe(headers={"Host": "evil.test"}), "headers.Host: is set by the call itself"),
        (describe(headers={"X-A": "a\r\nB: c"}), "headers.X-A: holds what is not printable"),
        (describe(headers={"Authorization": "Bearer sk"}), "has its secret written out; put it"),
        (describe(headers={"x-api-key": "sk"}), "headers.x-api-key: has its secret written out"),
        (describe(headers={"X-A": "${env:DATABASE_URL}"}), "the variable 'DATABASE_URL'; only"),
        (describe(headers={"X-A": "${env:SAGADESK_SECRET_KEY}"}), "only those that begin with"),
        (describe(headers={"X-A": "${env:SAGADESK_PARTICIPANT_SECRET_}"}), "only those that"),
        (describe(idempotency_header="a b"), 'idempotency_header: "a b" is no name of a header'),
        (describe(results={}), "actions.refund.results: must be a list"),
        (describe(results=[7]), "actions.refund.results[0]: must be an object with status"),
        (describe(results=[{}]), "actions.refund.results[0].outcome: is missing; write one of su"),
        (describe(results=[{"outcome": "ok"}]), 'outcome: "ok" is not one of succeeded, accepted'),
        (describe(results=[{"outcome": "absent"}]), '"absent" is not one of'),
        (describe(results=[{"status": "4x", "outcome": "retry"}]), '"4x" is no status; write 409'),
        (describe(results=[{"status": 600, "outcome": "retry"}]), '"600" is no status'),
        (describe(results=[{"status": [], "outcome": "retry"}]), "names no status"),
        (describe(results=[{"status": "499-400", "outcome": "retry"}]), "smaller status first"),
        (describe(results=[{"when": "&a", "outcome": "retry"}]), "results[0].when: The expression"),
        (describe(results=[{"in_doubt": 1, "outcome": "retry"}]), "in_doubt: must be true or fal"),
        (describe(probe={"method": "GET", "path": "/"}), "actions.refund.probe.method: is no fi"),
        (describe(probe={}), "actions.refund.probe.path: is missing"),
        (
            describe(probe={"path": "/", "results": [{"outcome": "accepted"}]}),
            'actions.refund.probe.results[0].outcome: "accepted" is not one of succeeded, refused',
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_cure(data: Any, problem: str) -> None:
    assert any(problem in text for text in problems_of(data)), problems_of(data)


def test_all_mistakes_come_at_once() -> None:
    data = describe(method="FETCH", output="[", query={"a": "input."})

    assert len(problems_of(data)) == 3


def test_a_templates_value_may_stand_in_a_header_that_usually_holds_a_secret() -> None:
    read_description(describe(headers={"X-CSRF-Token": "{outputs.Login.token}"}), PAYMENT)


def test_the_secrets_of_the_probe_count_too() -> None:
    data = describe(
        probe={
            "path": "/x",
            "headers": {"Authorization": "${env:SAGADESK_PARTICIPANT_SECRET_PAYMENT__B}"},
        }
    )

    assert read_description(data, PAYMENT)["refund"].secrets == {
        "SAGADESK_PARTICIPANT_SECRET_PAYMENT__B"
    }


def test_the_example_of_the_documentation_can_be_used() -> None:
    text = Path(__file__).parents[2].joinpath("docs", "participants.md").read_text("utf-8")
    example = text.partition("## An API that exists already")[2].partition("```json\n")[2]

    actions = read_description(json.loads(example.partition("```")[0]), PAYMENT)

    assert set(actions) == {"charge", "refund"}
    assert actions["charge"].probe is not None


@pytest.mark.django_db
def test_a_participant_with_a_bad_description_is_refused() -> None:
    participant = make_participant(
        transport=Participant.Transport.HTTP, address="http://127.0.0.1", api=describe(path="x")
    )

    with pytest.raises(ValidationError) as refused:
        participant.full_clean()

    assert refused.value.message_dict["api"][0].startswith("actions.refund.path: must begin")


@pytest.mark.django_db
def test_a_local_participant_has_no_api() -> None:
    with pytest.raises(ValidationError, match="Only an HTTP participant"):
        make_participant(api=describe()).full_clean()
