"""Setting schedules: what could not start anything is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model

from sagas.exceptions import DefinitionNotFound, InvalidInput, InvalidSchedule, ScheduleNotFound
from sagas.scheduling.keeping import (
    disable_schedule,
    find_schedule,
    read_schedules,
    remove_schedule,
)
from tests.builders import store
from tests.scheduling.builders import make_schedule

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _definition() -> None:
    store()


@pytest.mark.parametrize(
    ("change", "refusal", "says"),
    [
        ({"cron": ""}, InvalidSchedule, "Say when"),
        ({"cron": "0 3 * * *", "every": "1h"}, InvalidSchedule, "either"),
        ({"cron": "0 3 * *"}, InvalidSchedule, "five fields"),
        ({"cron": "61 3 * * *"}, InvalidSchedule, "no crontab"),
        ({"cron": "x 3 * * *"}, InvalidSchedule, "no crontab"),
        ({"cron": "0 0 30 2 *"}, InvalidSchedule, "never occurs"),
        ({"cron": "0 0 29 2 1"}, InvalidSchedule, "eight years"),
        ({"timezone": "Mars/Olympus"}, InvalidSchedule, "time zone"),
        ({"timezone": "../etc/passwd"}, InvalidSchedule, "time zone"),
        ({"every": "often"}, InvalidSchedule, "every"),
        ({"every": "500ms"}, InvalidSchedule, "whole seconds"),
        ({"definition": "unknown"}, DefinitionNotFound, "unknown"),
        ({"version": 7}, DefinitionNotFound, "7"),
        ({"business_key": "{place}"}, InvalidSchedule, "{place}"),
        ({"business_key": ""}, InvalidInput, "business_key"),
        ({"input": "x" * 300_000}, InvalidInput, "bytes"),
        ({"make_up": 101}, InvalidSchedule, "make_up"),
        ({"priority": "urgent"}, InvalidSchedule, "priority"),
        ({"name": "n" * 201}, InvalidSchedule, "200"),
    ],
)
def test_what_could_not_start_anything_is_refused(
    change: dict[str, Any], refusal: type[Exception], says: str
) -> None:
    with pytest.raises(refusal, match=says):
        make_schedule(**change)

    assert read_schedules() == []


def test_a_firing_that_waits_for_a_worker_lives_until_the_next_one() -> None:
    assert make_schedule(every="90s").row.expire_seconds == 90
    assert make_schedule(name="daily").row.expire_seconds == 3_600


def test_a_schedule_of_the_same_name_is_changed() -> None:
    first = make_schedule()

    second = make_schedule(cron="0 4 * * *")

    assert second.row.pk == first.row.pk
    assert [schedule.when for schedule in read_schedules()] == ["0 4 * * *"]


def test_changes_are_in_the_audit_log() -> None:
    operator = get_user_model().objects.create_user("operator")
    make_schedule()

    disable_schedule("nightly", actor=operator, reason="holidays")
    disable_schedule("nightly", actor=operator, reason="again")
    remove_schedule("nightly", actor=operator, reason="done")

    assert LogEntry.objects.count() == 2
    with pytest.raises(ScheduleNotFound):
        find_schedule("nightly")
