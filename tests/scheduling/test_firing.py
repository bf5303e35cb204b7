"""Beat fires: at most one saga per slot, however often, and a reason where none can start."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from celery.signals import before_task_publish

from sagas import catalogue
from sagas.models import Definition, Saga
from sagas.scheduling.firing import fire
from sagas.scheduling.keeping import (
    disable_schedule,
    enable_schedule,
    find_schedule,
    started_by,
)
from sagas.scheduling.plans import TASK
from tests.builders import store
from tests.scheduling.builders import at, make_schedule

pytestmark = pytest.mark.django_db

NIGHT = at("2026-11-21T03:00:00.200Z")


@pytest.fixture(autouse=True)
def _definition() -> None:
    store()


def keys() -> list[str]:
    return list(Saga.objects.order_by("pk").values_list("business_key", flat=True))


def test_a_firing_starts_one_saga() -> None:
    schedule = make_schedule(input={"days": 1}, tenant="acme", priority="low")

    fire(schedule.row.pk, NIGHT)

    saga = Saga.objects.select_related("start").get()
    assert saga.business_key == "n-2026-11-21"
    assert saga.start.input == {"days": 1}
    assert saga.start.tenant == "acme"
    assert saga.priority == "low"


def test_whoever_fires_a_slot_again_starts_nothing() -> None:
    """Edge case 15: beat fires twice, or two beats run."""
    schedule = make_schedule()

    fire(schedule.row.pk, NIGHT)
    fire(schedule.row.pk, at("2026-11-21T03:00:41Z"))

    assert keys() == ["n-2026-11-21"]


def test_each_slot_has_a_saga_of_its_own() -> None:
    schedule = make_schedule()

    fire(schedule.row.pk, NIGHT)
    fire(schedule.row.pk, at("2026-11-22T03:00:00Z"))

    assert keys() == ["n-2026-11-21", "n-2026-11-22"]


def test_missed_slots_are_not_made_up_unasked() -> None:
    schedule = make_schedule()
    fire(schedule.row.pk, at("2026-11-18T03:00Z"))

    fire(schedule.row.pk, NIGHT)

    assert keys() == ["n-2026-11-18", "n-2026-11-21"]


def test_missed_slots_are_made_up_where_that_is_asked_for_oldest_first() -> None:
    schedule = make_schedule(make_up=2)
    fire(schedule.row.pk, at("2026-11-17T03:00Z"))
    Saga.objects.all().delete()

    fire(schedule.row.pk, NIGHT)

    assert keys() == ["n-2026-11-19", "n-2026-11-20", "n-2026-11-21"]


def test_what_a_disabled_schedule_misses_is_not_made_up() -> None:
    schedule = make_schedule(make_up=100)
    disable_schedule("nightly", actor=None, reason="holidays")
    fire(schedule.row.pk, NIGHT)

    enable_schedule("nightly", actor=None, reason="back")
    fire(schedule.row.pk)

    assert keys() == []


def test_an_edited_schedule_does_not_start_its_last_slot_again() -> None:
    schedule = make_schedule(input={"days": 1})
    fire(schedule.row.pk, NIGHT)

    make_schedule(input={"days": 2})
    fire(schedule.row.pk, NIGHT)

    assert keys() == ["n-2026-11-21"]


def test_the_business_key_names_the_slot_in_the_time_zone_of_the_schedule() -> None:
    schedule = make_schedule(
        cron="30 0 * * *", timezone="Asia/Seoul", business_key="{date} {time} {slot}"
    )

    fire(schedule.row.pk, at("2026-11-20T15:30:01Z"))

    assert keys() == ["2026-11-21 0030 2026-11-21T00:30:00+09:00"]


def test_a_schedule_whose_definition_is_gone_is_disabled_and_says_why() -> None:
    schedule = make_schedule()
    Definition.objects.all().delete()
    catalogue.forget_compiled()

    fire(schedule.row.pk, NIGHT)

    found = find_schedule("nightly")
    assert not found.row.enabled
    assert "test" in found.problem


@pytest.mark.parametrize(
    "change", [{"since": 7}, {"make_up": "many"}, {"priority": "urgent"}, {"unknown": 1}]
)
def test_arguments_that_were_spoilt_by_hand_disable_the_schedule(change: dict[str, Any]) -> None:
    schedule = make_schedule()
    row = schedule.row
    row.kwargs = json.dumps(json.loads(row.kwargs) | change)
    row.save()

    fire(row.pk, NIGHT)

    found = find_schedule("nightly")
    assert not found.row.enabled
    assert found.problem
    assert keys() == []


def test_enabling_clears_the_problem() -> None:
    make_schedule(make_up=0)
    row = find_schedule("nightly").row
    row.enabled, row.kwargs = False, json.dumps(json.loads(row.kwargs) | {"problem": "gone"})
    row.save()

    enable_schedule("nightly", actor=None, reason="it is back")

    found = find_schedule("nightly")
    assert (found.row.enabled, found.problem) == (True, "")


def test_a_removed_schedule_starts_nothing() -> None:
    assert fire(4711, NIGHT) == []


def test_the_page_knows_which_slot_has_started_which_saga() -> None:
    schedule = make_schedule(every="1s")
    [started] = fire(schedule.row.pk)

    sagas = [saga for _, saga in started_by(schedule) if saga is not None]

    assert [saga.pk for saga in sagas] == [started.saga_id]


def test_whoever_publishes_a_firing_says_when() -> None:
    """The clock of a worker may say that the slot has not come yet."""
    import_module("sagas.tasks")
    headers: dict[str, Any] = {}

    before_task_publish.send(sender=TASK, headers=headers, body=None)

    assert at(headers["fired_at"]).utcoffset() is not None
