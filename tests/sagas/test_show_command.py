"""manage.py saga show, history and list: what people read of sagas in a terminal."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from sagas.core.definition import RetryPolicy, Step, StepType
from sagas.engine.driver import Driver
from sagas.models import JournalEntry, Saga
from sagas.retention.archive import archive
from sagas.starting import start
from tests.builders import Script, drive_on, make_saga, make_step, no, store

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("saga", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def failed_saga(driver: Driver, key: str = "order-1") -> Saga:
    """A saga that stopped: B has failed for good after a retry, and it is parked."""
    retry = RetryPolicy(attempts=2, initial_s=0.0, jitter=False)
    definition = store(make_step("A"), make_step("B", retry=retry), on_failure="park")
    Script(doB=[ConnectionError("away"), no("sold [out]")]).register(definition)
    saga = make_saga(definition, key=key)
    driver.drive()
    drive_on(driver, saga)
    saga.refresh_from_db()
    return saga


def test_show_tells_steps_cause_and_what_can_be_done(driver: Driver) -> None:
    saga = failed_saga(driver)

    told = run("show", "order-1")

    assert f"order-1  test v1  failed  {saga.pk}" in told
    assert "cause: B: BusinessFailure: sold [out]" in told
    assert "can be done: retry, compensate, mark-done (A), skip (B), rewind (A, B)" in told
    lines = [line.split() for line in told.splitlines()]
    assert ["A", "succeeded", "1", "0", '{"did":', '"doA"}'] in lines
    assert "failed  ConnectionError: away, again in" in told
    assert "failed  attempt 2, BusinessFailure: sold [out], for good" in told


def test_show_gives_programs_json(driver: Driver) -> None:
    saga = failed_saga(driver)

    told = json.loads(run("show", str(saga.pk), "--json"))

    assert (told["status"], told["standing"]) == ("failed", ["A"])
    assert [step["status"] for step in told["steps"]] == ["succeeded", "failed"]
    assert told["steps"][1]["error"]["message"] == "sold [out]"
    assert "rewind (A, B)" in told["can_be_done"]
    assert [entry["seq"] for entry in told["journal"]] == list(range(1, saga.version + 1))


def test_show_names_parent_and_child(driver: Driver) -> None:
    child = store(make_step("P"), name="shipping")
    step = Step("Ship", "shipping", "start", "compensate", type=StepType.SAGA)
    parent = store(step, name="order")
    Script().register(child)
    saga = make_saga(parent)
    driver.drive()
    saga.refresh_from_db()
    started = saga.state["steps"][0]["child"]

    assert f"child: {started}, " in run("show", str(saga.pk))
    assert f"parent: {saga.pk}, step Ship" in run("show", started)


def test_show_finds_what_was_archived() -> None:
    definition = store()
    Script().register(definition)
    saga = make_saga(definition)
    run("drive")
    archive([saga.pk])
    JournalEntry.objects.filter(saga_id=saga.pk).delete()
    Saga.objects.filter(pk=saga.pk).delete()

    told = run("show", "order-1")

    assert "completed, archived" in told
    assert "can be done" not in told


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(CommandError, match="no saga with the id or business key 'nothing'"):
        run("show", "nothing")


def test_history_shows_a_saga_as_it_was(driver: Driver) -> None:
    saga = failed_saga(driver)
    retried = JournalEntry.objects.get(saga_id=saga.pk, kind="step_failed", data__attempt=1)

    told = json.loads(run("history", "order-1", "--seq", str(retried.seq), "--json"))
    at = json.loads(run("history", "order-1", "--at", retried.at.isoformat(), "--json"))

    assert (told["status"], told["cause"]) == ("running", None)
    assert told["steps"][1]["wake_at"] == retried.data["wake_at"]
    assert told["journal"][-1]["seq"] == retried.seq
    assert at == told
    assert "running" in run("history", "order-1", "--seq", str(retried.seq))


def test_history_after_the_last_entry_is_the_present(driver: Driver) -> None:
    saga = failed_saga(driver)

    past = json.loads(run("history", "order-1", "--seq", str(saga.version), "--json"))
    present = json.loads(run("show", "order-1", "--json"))

    assert past["steps"] == present["steps"]


def test_history_before_the_beginning_says_so(driver: Driver) -> None:
    failed_saga(driver)

    with pytest.raises(CommandError, match="It had not begun then"):
        run("history", "order-1", "--at", "2001-01-01T00:00:00+00:00")


def test_history_before_a_move_has_the_steps_of_then(driver: Driver) -> None:
    saga = failed_saga(driver)
    before = saga.version
    store(make_step("A"), make_step("B"), make_step("C"))
    run("move", "order-1", "--reason", "one more", "--version", "2")

    def names(*point: str) -> list[Any]:
        told = json.loads(run("history", "order-1", *point, "--json"))
        return [step["name"] for step in told["steps"]]

    assert names("--seq", str(before)) == ["A", "B"]
    assert names("--seq", str(before + 1)) == ["A", "B", "C"]


def listed(*arguments: str) -> list[str]:
    return [
        json.loads(line)["business_key"] for line in run("list", "--json", *arguments).splitlines()
    ]


def test_the_list_is_narrowed(driver: Driver) -> None:
    failed_saga(driver, key="bad-1")
    store(name="other")
    start("other", {}, business_key="good-1", tenant="acme")

    assert listed("--status", "failed") == ["bad-1"]
    assert listed("--definition", "other") == ["good-1"]
    assert listed("--version-number", "2") == []
    assert listed("--key", "bad") == ["bad-1"]
    assert listed("--tenant", "acme") == ["good-1"]
    assert listed("--step", "B") == ["bad-1"]
    assert listed("--paused") == []


def test_the_list_goes_on_after_the_last_one_seen() -> None:
    definition = store()
    sagas = [make_saga(definition, key=f"order-{number}") for number in range(5)]

    table = run("list", "--limit", "2")

    assert f"There are more: --after {sagas[3].pk}" in table
    assert listed("--limit", "2") == ["order-4", "order-3"]
    assert listed("--limit", "2", "--after", str(sagas[3].pk)) == ["order-2", "order-1"]
    assert "There are more" not in run("list", "--after", str(sagas[1].pk))
