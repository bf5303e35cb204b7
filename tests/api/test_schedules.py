"""Schedules over the API and on the command line."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from sagas.scheduling.keeping import read_schedules
from tests.api.builders import V1, error_of, make_client
from tests.builders import store
from tests.scheduling.builders import make_schedule

pytestmark = pytest.mark.django_db

SCHEDULES = f"{V1}/schedules/"


def body(**overrides: Any) -> dict[str, Any]:
    return {
        "name": "nightly",
        "definition": "test",
        "business_key": "n-{date}",
        "cron": "0 3 * * *",
        "timezone": "Asia/Seoul",
        "reason": "a report every night",
    } | overrides


def test_a_schedule_is_set_and_shown(api: APIClient) -> None:
    store()

    created = api.post(SCHEDULES, body(input={"days": 1}))

    assert created.status_code == 200
    shown = api.get(f"{SCHEDULES}nightly/").json()
    assert shown == created.json() == api.get(SCHEDULES).json()[0]
    assert (shown["when"], shown["timezone"]) == ("0 3 * * *", "Asia/Seoul")
    assert shown["starts"]["input"] == {"days": 1}
    assert shown["enabled"]


def test_a_schedule_is_disabled_enabled_and_removed(api: APIClient) -> None:
    store()
    make_schedule()
    seen = []

    for verb in ("disable", "disable", "enable", "remove"):
        response = api.post(f"{SCHEDULES}nightly/{verb}/", {"reason": "because"})
        seen.append((response.status_code, response.json()["enabled"]))

    assert seen == [(200, False), (200, False), (200, True), (200, True)]
    assert error_of(api.get(f"{SCHEDULES}nightly/"), 404) == "schedule_not_found"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"cron": "often"}, 400, "invalid_schedule"),
        ({"definition": "unknown"}, 404, "definition_not_found"),
        ({"reason": " "}, 400, "invalid_request"),
        ({"make_up": 101}, 400, "invalid_request"),
        ({"surprise": 1}, 400, "invalid_request"),
    ],
)
def test_what_could_not_start_anything_is_refused(
    api: APIClient, change: dict[str, Any], status: int, code: str
) -> None:
    store()

    assert error_of(api.post(SCHEDULES, body(**change)), status) == code
    assert read_schedules() == []


def test_only_those_who_may_start_sagas_may_schedule_them() -> None:
    store()
    make_schedule()
    viewer = make_client("sagas.view_saga")

    assert viewer.get(SCHEDULES).status_code == 200
    assert viewer.post(SCHEDULES, body()).status_code == 403
    for verb in ("enable", "disable", "remove"):
        response = viewer.post(f"{SCHEDULES}nightly/{verb}/", {"reason": "because"})
        assert response.status_code == 403


def test_the_command_line_sets_lists_and_removes(capsys: pytest.CaptureFixture[str]) -> None:
    store()
    why = ("--reason", "a test")

    setting = ("--definition", "test", "--key", "n-{slot}", "--every", "15m")
    call_command("saga", "schedule", "set", "quarterly", *setting, *why)
    call_command("saga", "schedule", "list")
    call_command("saga", "schedule", "disable", "quarterly", *why)
    disabled = [schedule.row.enabled for schedule in read_schedules()]
    call_command("saga", "schedule", "remove", "quarterly", *why)

    assert "every 900 seconds" in capsys.readouterr().out
    assert disabled == [False]
    assert read_schedules() == []
    with pytest.raises(CommandError, match="quarterly"):
        call_command("saga", "schedule", "enable", "quarterly", *why)
