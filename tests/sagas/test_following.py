"""manage.py saga tail: new entries, each once, of one saga or of all, by small queries."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from sagas import following
from sagas.engine.driver import Driver
from sagas.following import Follower
from tests.builders import Script, drive_on, make_saga, make_step, store

pytestmark = pytest.mark.django_db


def told(follower: Follower) -> list[str]:
    return [f"{entry.business_key} {entry.kind} {entry.step}".strip() for entry in follower.look()]


def test_one_saga_is_followed_from_where_somebody_is(driver: Driver) -> None:
    definition = store(make_step("A"))
    Script().register(definition)
    saga = make_saga(definition)
    follower = Follower(saga_id=saga.pk)

    assert told(follower) == ["order-1 saga_started"]
    assert told(follower) == []
    driver.drive()
    assert told(follower) == ["order-1 step_succeeded A", "order-1 saga_completed"]
    assert told(follower) == []


def test_of_all_sagas_only_what_is_new_is_told(driver: Driver) -> None:
    definition = store(make_step("A"))
    Script().register(definition)
    make_saga(definition, key="before")
    follower = Follower()

    make_saga(definition, key="after")
    assert told(follower) == ["after saga_started"]
    driver.drive()

    assert sorted(told(follower)) == [
        "after saga_completed",
        "after step_succeeded A",
        "before saga_completed",
        "before step_succeeded A",
    ]
    assert told(follower) == []


def test_only_one_definition_is_followed() -> None:
    wanted, other = store(name="wanted"), store(name="other")
    follower = Follower(definition="wanted")

    make_saga(other, key="o")
    make_saga(wanted, key="w")

    assert told(follower) == ["w saga_started"]


@pytest.mark.django_db(transaction=True)
def test_an_old_saga_is_found_by_what_is_published_about_it(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "NEWEST", 1)
    definition = store(make_step("A"))
    Script().register(definition)
    old = make_saga(definition, key="old")
    make_saga(definition, key="new")
    follower = Follower()

    drive_on(driver, old)

    assert "old saga_completed" in told(follower)


def test_what_is_too_much_for_one_look_comes_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST_LINES", 2)
    definition = store()
    follower = Follower()
    for number in range(3):
        make_saga(definition, key=f"{number}")

    assert len(told(follower)) == 2
    assert len(told(follower)) == 1
    assert told(follower) == []


def test_no_more_sagas_are_kept_in_mind_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "FOLLOWED", 2)
    definition = store()
    follower = Follower()
    for number in range(4):
        make_saga(definition, key=f"{number}")

    assert told(follower) == ["2 saga_started", "3 saga_started"]


def test_a_look_costs_the_same_however_much_there_is(django_assert_max_num_queries: Any) -> None:
    definition = store()
    follower = Follower()
    for number in range(20):
        make_saga(definition, key=f"{number}")

    with django_assert_max_num_queries(6):
        assert len(told(follower)) == 20


@pytest.mark.parametrize("json_wanted", [True, False])
def test_the_command_writes_lines_until_its_time_is_up(json_wanted: bool) -> None:
    definition = store()
    make_saga(definition)
    out = StringIO()

    options = ["--json"] if json_wanted else []
    call_command("saga", "tail", "order-1", "--for", "0", *options, stdout=out)

    (line,) = out.getvalue().splitlines()
    if json_wanted:
        assert json.loads(line)["kind"] == "saga_started"
    else:
        assert line.endswith("order-1                       started")
