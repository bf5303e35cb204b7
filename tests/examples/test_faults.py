"""Failures happen when they are ordered, and the same ones every time."""

from http.client import RemoteDisconnected

import pytest

from examples.participants.__main__ import read_arguments, read_faults
from examples.participants.faults import Faults, Kind, read_rule

RULE = "FlightService/reserveFlight"
KEYS = [f"T-{number}" for number in range(2_000)]


def kinds(rule, *, seed="demo", attempt=1, generation="1"):
    """Return what befalls each of KEYS under a rule."""
    faults = Faults({"seed": seed})
    return [faults.choose(read_rule("r", rule), (key, "act"), attempt, generation) for key in KEYS]


def test_the_same_keys_fail_in_every_run():
    rule = {"business": 0.1, "lost": 0.1, "unavailable": 0.1}

    assert kinds(rule) == kinds(rule)
    assert kinds(rule) != kinds(rule, seed="another")


@pytest.mark.parametrize("kind", list(Kind))
def test_rates_are_met(kind):
    assert 0.08 < kinds({kind: 0.1}).count(kind) / len(KEYS) < 0.12
    assert kinds({kind: 0}) == [None] * len(KEYS)
    assert kinds({kind: 1}) == [kind] * len(KEYS)


def test_passing_failures_pass_with_the_next_attempt_and_others_stay():
    assert kinds({"unavailable": 0.5}) != kinds({"unavailable": 0.5}, attempt=2)
    assert kinds({"lost": 0.5}) != kinds({"lost": 0.5}, attempt=2)
    assert kinds({"broken": 0.5}) == kinds({"broken": 0.5}, attempt=99)
    assert kinds({"business": 0.5}) == kinds({"business": 0.5}, attempt=99)
    assert kinds({"business": 0.5}) != kinds({"business": 0.5}, generation="2")


def test_what_is_broken_for_some_attempts_mends_itself():
    rule = {"broken": 1, "broken_attempts": 5}

    assert set(kinds(rule, attempt=5)) == {Kind.BROKEN}
    assert set(kinds(rule, attempt=6)) == {None}


def test_delays_follow_their_distribution():
    def mean(delay_ms):
        rule = read_rule("r", {"delay_ms": delay_ms})
        delays = [Faults().delay_s(rule, (key, "act"), 1) for key in KEYS]
        return 1000 * sum(delays) / len(delays)

    assert mean(20) == pytest.approx(20)
    assert mean([10, 30]) == pytest.approx(20, rel=0.05)
    assert mean({"mean": 20}) == pytest.approx(20, rel=0.1)


def test_the_nearest_rule_counts():
    faults = Faults({"rules": {"*": {"lost": 0.1}, "A/*": {"lost": 0.2}, "A/act": {"lost": 0.3}}})

    assert [faults.rule(*name).lost for name in [("A", "act"), ("A", "x"), ("B", "x")]] == [
        0.3,
        0.2,
        0.1,
    ]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"rule": {}}, "Unknown: rule."),
        ({"rules": {"A/b": {"losst": 1}}}, "A/b: a rule has business"),
        ({"rules": {"A/b": {"lost": 2}}}, "A/b: lost is a rate between 0 and 1."),
        ({"rules": {"A/b": {"broken_attempts": "5"}}}, "A/b: broken_attempts is a number."),
        ({"rules": {"A/b": {"delay_ms": [1]}}}, "A/b: delay_ms is a number"),
        ({"scripted": [{"business_key": "T-1", "action": "b", "fail": "x"}]}, "fail is one of"),
    ],
)
def test_faults_that_cannot_be_understood_change_nothing(data, complaint):
    faults = Faults({"rules": {"A/b": {"lost": 1}}})

    with pytest.raises(ValueError, match=complaint.replace("[", r"\[")):
        faults.update(data)
    assert faults.as_json()["rules"] == {"A/b": {"lost": 1}}


def test_start_options_add_to_the_file(tmp_path):
    file = tmp_path / "faults.json"
    file.write_text('{"seed": "s", "rules": {"A/b": {"lost": 0.1}}}')
    arguments = ["--data", "d", "--faults", str(file), "--fault", "A/b", "business", "0.2"]

    faults = read_faults(read_arguments(arguments))
    assert faults.as_json() == {
        "seed": "s",
        "rules": {"A/b": {"lost": 0.1, "business": 0.2}},
        "scripted": [],
    }


def test_a_lost_answer_leaves_the_effect_and_the_retry_gets_the_answer(participants):
    """Edge case 1, as the participant sees it."""
    participants.set_faults(
        scripted=[{"business_key": "T-1", "action": "reserveFlight", "fail": "lost"}]
    )

    with pytest.raises(RemoteDisconnected):
        participants.call()
    assert participants.statuses() == ["active"]
    assert participants.call(attempt=2).body["flight_reservation"] == "FL-1"
    assert participants.statuses() == ["active"]


def test_an_unavailable_service_has_done_nothing_and_remembers_nothing(participants):
    participants.set_faults(rules={RULE: {"unavailable": 1, "retry_after_s": 2}})

    reply = participants.call()
    assert reply.status == 503
    assert reply.headers["Retry-After"] == "2"
    assert participants.statuses() == []

    participants.set_faults(rules={RULE: {}})
    assert participants.call(attempt=2).status == 200


def test_a_broken_undo_works_once_it_is_mended(participants):
    undo = {"business_key": "T-1", "action": "cancelFlightReservation", "fail": "broken"}
    participants.call()
    participants.set_faults(scripted=[undo])

    assert participants.undo(attempt=50).status == 503
    assert participants.statuses() == ["active"]

    participants.set_faults(scripted=[])
    assert participants.undo(attempt=51).body == {"undone": 1}


def test_a_refusal_on_order_is_remembered(participants):
    participants.set_faults(rules={RULE: {"business": 1}})
    refused = participants.call()
    assert participants.request("DELETE", "/_faults").body["rules"] == {}

    assert participants.call(attempt=2).body == refused.body
    assert participants.call(attempt=3, generation="/2").status == 200


def test_wrong_orders_are_refused(participants):
    reply = participants.request("POST", "/_faults", {"rules": {"A/b": {"lost": "often"}}})

    assert reply.status == 400
    assert participants.request("GET", "/_faults").body["rules"] == {}
