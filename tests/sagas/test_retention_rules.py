"""Who says how long ended sagas are kept, and what stops a time that is too short."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.checks import run_checks
from pytest_django import Settings

from sagas.exceptions import InvalidOrder
from sagas.models import RetentionRule
from sagas.retention.checks import check_definitions, check_settings
from sagas.retention.rules import DAY_S, Rule, Rules, remove_rule, set_rule
from tests.builders import QUICK, make_step, store

pytestmark = pytest.mark.django_db


def make_rule(**overrides: Any) -> Rule:
    fields: dict[str, Any] = {
        "definition": "*",
        "status": "completed",
        "keep_days": 30,
        "action": "drop",
    }
    return Rule(**(fields | overrides))


def ids(problems: list[Any]) -> list[str]:
    return [problem.id for problem in problems]


def test_a_rule_is_set_with_a_trace_of_who_and_why() -> None:
    ann = User.objects.create_user("ann")

    set_rule(make_rule(), actor=ann, reason="the disk is full")

    assert Rules().find("any", "completed")[:4] == ("*", "completed", 30, "drop")
    entry = LogEntry.objects.get()
    assert entry.user == ann
    assert entry.object_repr == "* completed"
    assert json.loads(entry.change_message) == {
        "verb": "set",
        "reason": "drop after 30 days: the disk is full",
    }


def test_a_rule_set_again_takes_the_place_of_the_first() -> None:
    set_rule(make_rule(), actor=None, reason="once")
    set_rule(make_rule(keep_days=60, action="archive"), actor=None, reason="twice")

    rule = RetentionRule.objects.get()
    assert (rule.keep_days, rule.action) == (60, "archive")


def test_a_rule_that_is_removed_leaves_the_general_one() -> None:
    ann = User.objects.create_user("ann")
    store(name="mine")
    row = set_rule(make_rule(definition="mine", keep_days=10), actor=ann, reason="once")

    assert remove_rule(row, actor=ann, reason="not any more")
    assert not remove_rule(row, actor=ann, reason="repeated")

    rule = Rules().find("mine", "completed")
    assert (rule.definition, rule.keep_days, rule.action) == ("*", 90, "archive")
    assert LogEntry.objects.count() == 2


def test_rules_are_shown_with_those_of_the_settings() -> None:
    store(name="mine")
    set_rule(make_rule(definition="mine"), actor=None, reason="once")

    shown = [(rule.definition, rule.status, rule.id is None) for rule in Rules().shown()]

    assert shown == [
        ("*", "completed", True),
        ("*", "compensated", True),
        ("*", "abandoned", True),
        ("mine", "completed", False),
    ]


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"status": "failed"}, "have ended"),
        ({"status": "running"}, "have ended"),
        ({"action": "shred"}, "archive or drop"),
        ({"keep_days": 0}, "from 1 to"),
        ({"keep_days": 40_000}, "from 1 to"),
        ({"definition": "nothing"}, "no definition nothing"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(overrides: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidOrder, match=why):
        set_rule(make_rule(**overrides), actor=None, reason="because")

    assert not RetentionRule.objects.exists()


def test_a_rule_needs_a_reason() -> None:
    with pytest.raises(InvalidOrder, match="Say why"):
        set_rule(make_rule(), actor=None, reason=" ")


def test_a_rule_shorter_than_the_longest_retry_is_refused() -> None:
    """Case 35."""
    store(make_step("A", retry=QUICK._replace(total_s=40 * DAY_S)))

    with pytest.raises(InvalidOrder, match=r"repeated for 40\.0 days"):
        set_rule(make_rule(keep_days=39), actor=None, reason="because")
    set_rule(make_rule(keep_days=41), actor=None, reason="because")


@pytest.mark.parametrize("longer", ["DLQ_KEEP_SETTLED_DAYS", "SAGAS_BARRIER_LONGEST_RETRY_DAYS"])
def test_keys_that_go_before_what_comes_again_stop_the_start(
    settings: Settings, longer: str
) -> None:
    """Case 35."""
    assert check_settings(None) == []

    settings.SAGAS_KEEP_KEYS_DAYS = 365
    setattr(settings, longer, 366)

    assert ids(check_settings(None)) == ["sagas.E001"]
    assert "sagas.E001" in ids(run_checks())


def test_keys_and_sagas_that_go_before_the_last_retry_stop_the_start(settings: Settings) -> None:
    """Case 35: a definition that was stored after its rule retries for longer."""
    set_rule(make_rule(keep_days=30), actor=None, reason="because")
    assert check_definitions(None, databases=["default"]) == []

    store(make_step("A", undo_retry=QUICK._replace(total_s=40 * DAY_S)))
    settings.SAGAS_KEEP_KEYS_DAYS = 35

    problems = check_definitions(None, databases=["default"])
    assert ids(problems) == ["sagas.E002", "sagas.E002"]
    assert "SAGADESK_KEEP_KEYS_DAYS is 35" in problems[0].msg
    assert "completed sagas of it are kept for 30 days" in problems[1].msg
    assert check_definitions(None) == []


def test_administrators_change_rules_and_viewers_see_them() -> None:
    def may(role: str) -> set[str]:
        permissions = Group.objects.get(name=role).permissions
        rules = permissions.filter(content_type__model="retentionrule")
        return set(rules.values_list("codename", flat=True))

    assert may("viewer") == may("lead") == {"view_retentionrule"}
    assert may("admin") == {"view_retentionrule", "change_retentionrule"}
    assert may("program") == set()
