"""The pages of schedules, and of participants that are reached by messages."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from sagas.scheduling.firing import fire
from sagas.scheduling.keeping import read_schedules
from sagas.starting import start
from tests.builders import make_step, store
from tests.console.builders import make_operator, order, words
from tests.sagas.messages import reach_by_messages
from tests.scheduling.builders import at, make_schedule


def schedule_form(**overrides: str) -> dict[str, str]:
    fields = {
        "name": "nightly",
        "definition": "test",
        "business_key": "n-{date}",
        "input": "{}",
        "cron": "0 3 * * *",
        "timezone": "Asia/Seoul",
        "make_up": "0",
    }
    return order(**(fields | overrides))


def test_a_schedule_is_set_edited_and_listed(admin: Client) -> None:
    store()

    admin.post("/schedules/set/", schedule_form())
    dialog = admin.get("/schedules/set/?name=nightly")
    admin.post("/schedules/set/", schedule_form(cron="0 4 * * *"))

    assert b'value="Asia/Seoul"' in dialog.content
    assert "root set nightly scheduled task" in words(admin.get("/audit/"))
    assert [schedule.when for schedule in read_schedules()] == ["0 4 * * *"]
    assert "nightly enabled test 0 4 * * * Asia/Seoul" in words(admin.get("/schedules/"))


def test_an_interval_is_told_in_the_language_of_the_reader(admin: Client) -> None:
    store()
    make_schedule(cron="", every="90m")

    assert "every 1 h 30 min" in words(admin.get("/schedules/"))
    assert "1시간 30분마다" in words(admin.get("/schedules/", headers={"Accept-Language": "ko"}))


def test_priorities_are_offered_in_the_language_of_the_reader(admin: Client) -> None:
    form = words(admin.get("/schedules/set/", headers={"Accept-Language": "ko"}))

    assert "높음 보통 낮음" in form


def test_a_schedule_that_could_not_start_anything_is_refused(admin: Client) -> None:
    store()

    response = admin.post("/schedules/set/", schedule_form(cron="often"))

    assert response.status_code == 400
    assert "A crontab has five fields" in words(response)
    assert read_schedules() == []


def test_a_schedule_is_disabled_enabled_and_removed(admin: Client) -> None:
    store()
    address = f"/schedules/{make_schedule().row.pk}/"

    admin.post(f"{address}disable/", order())
    assert "nightly disabled" in words(admin.get("/schedules/"))
    admin.post(f"{address}enable/", order())
    assert "nightly enabled" in words(admin.get(address))
    assert "the sagas it has started go on" in words(admin.get(f"{address}remove/"))
    admin.post(f"{address}remove/", order())

    assert read_schedules() == []
    assert admin.get(address).status_code == 404
    assert admin.post(f"{address}enable/", order()).status_code == 404


def test_its_page_shows_what_it_has_started(admin: Client) -> None:
    store()
    schedule = make_schedule(every="1d")
    fire(schedule.row.pk)

    text = words(admin.get(f"/schedules/{schedule.row.pk}/"))

    assert "running" in text
    assert "every 1 day" in text


def test_its_page_says_why_it_was_disabled(admin: Client) -> None:
    store()
    schedule = make_schedule()
    row = schedule.row
    row.kwargs = json.dumps(json.loads(row.kwargs) | {"definition": "gone"})
    row.save()
    fire(row.pk, at("2026-11-21T03:00Z"))

    for address in ("/schedules/", f"/schedules/{row.pk}/"):
        assert "gone" in words(admin.get(address))
    assert "cannot start" in words(admin.get("/schedules/"))


@pytest.mark.django_db
def test_whoever_may_only_look_changes_nothing() -> None:
    store()
    address = f"/schedules/{make_schedule().row.pk}/"
    viewer = make_operator("sagas.view_saga")

    assert viewer.get("/schedules/").status_code == viewer.get(address).status_code == 200
    assert viewer.post("/schedules/set/", schedule_form()).status_code == 403
    for verb in ("enable", "disable", "remove"):
        assert viewer.post(f"{address}{verb}/", order()).status_code == 403


def test_the_list_stays_under_its_query_ceiling(
    admin: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    store()
    for number in range(20):
        make_schedule(name=f"number {number}")

    with django_assert_max_num_queries(20):
        admin.get("/schedules/")


def test_a_saga_that_starts_later_says_when(admin: Client) -> None:
    store()
    started = start("test", {}, business_key="later", at=at("2099-03-14T00:00Z"))

    text = words(admin.get(f"/sagas/{started.saga_id}/"))

    assert "Starts at" in text
    assert "It starts in" in text


def test_a_participant_reached_by_messages_shows_its_route_and_what_none_takes(
    admin: Client,
) -> None:
    store(make_step("A"))
    reach_by_messages("Service", types=["command.Service.do*"])

    text = words(admin.get("/participants/Service/"))

    assert "No route takes its commands" in text
    assert "command.Service.undoA" in text
    assert "sagadesk:test-commands" in text
