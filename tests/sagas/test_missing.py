"""What a worker does not have: the saga stays queued, somebody is told, and others go on."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest

from sagas import catalogue, missing
from sagas.checking import check_sagas
from sagas.engine.driver import Driver
from sagas.exceptions import DefinitionUnreadable
from sagas.missing import Kind, Missing
from sagas.models import Definition, Saga
from sagas.participants import local
from sagas.waiting import waiting
from tests.builders import Script, drive_on, let_pass, make_saga, make_step, no, store

pytestmark = pytest.mark.django_db


def make_newer(name: str = "newer") -> Saga:
    """Start a saga of a definition that a newer release then wrote otherwise."""
    saga = make_saga(store(make_step("A"), name=name), key="order-newer")
    row = Definition.objects.get(name=name)
    row.spec["steps"][0]["quantum"] = True
    row.save(update_fields=["spec"])
    catalogue.forget_compiled()
    return saga


def restore(name: str = "newer") -> None:
    """Be the newer release."""
    row = Definition.objects.get(name=name)
    del row.spec["steps"][0]["quantum"]
    row.save(update_fields=["spec"])
    catalogue.forget_compiled()


def test_a_saga_whose_callable_no_worker_knows_waits_and_others_go_on(driver: Driver) -> None:
    """Edge case 26."""
    waits = make_saga(store(make_step("A"), name="waits"))
    goes_on = store(make_step("B", participant="Other"), name="goes on")
    Script("Other").register(goes_on)
    other = make_saga(goes_on, key="order-2")

    driver.drive()
    missing.report()

    waits.refresh_from_db()
    other.refresh_from_db()
    assert (waits.status, other.status) == ("running", "completed")
    assert waits.state["steps"] == [{}]
    (row,) = waiting()
    assert row.missing == Missing(Kind.ACTION, "Service", "doA")
    assert (row.sagas.value, row.definitions) == (1, ["waits"])


def test_an_undo_that_no_worker_knows_is_missing_too(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B"))
    script = Script(doB=[no()]).register(definition)
    local._actions.pop(("Service", "undoA"))
    make_saga(definition)

    driver.drive()
    missing.report()

    assert script.actions == ["doA", "doB"]
    assert [row.what for row in waiting()] == ["Service.undoA"]


def test_nobody_is_told_of_what_nobody_waits_for_any_more(driver: Driver) -> None:
    definition = store(make_step("A"))
    saga = make_saga(definition)
    driver.drive()
    missing.report()
    assert waiting()

    Script().register(definition)
    driver._routing._directory._read_at = float("-inf")
    let_pass(saga, 10)
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert waiting() == []


def test_a_definition_of_a_newer_release_is_left_alone_and_others_go_on(driver: Driver) -> None:
    """Edge case 26."""
    newer = make_newer()
    definition = store(make_step("B"))
    Script().register(definition)
    other = make_saga(definition)

    driver.drive()
    missing.report()

    newer.refresh_from_db()
    other.refresh_from_db()
    assert (newer.status, newer.state["steps"], other.status) == ("running", [{}], "completed")
    (row,) = waiting()
    assert row.missing == Missing(Kind.DEFINITION, "newer", "1")
    assert row.sagas.value == 1
    restore()


def test_a_worker_of_the_newer_release_takes_it(driver: Driver) -> None:
    newer = make_newer()
    driver.drive()

    restore()
    Script().register(catalogue.compiled({newer.definition_id})[newer.definition_id])
    let_pass(newer, 100)
    drive_on(driver, newer)

    newer.refresh_from_db()
    assert newer.status == "completed"


def test_a_definition_that_cannot_be_read_is_read_once_only(
    django_assert_num_queries: Any,
) -> None:
    newer = make_newer()

    with django_assert_num_queries(1):
        for _ in range(3):
            with pytest.raises(DefinitionUnreadable, match="newer version 1"):
                catalogue.compiled({newer.definition_id})
    restore()


def test_the_check_names_what_it_cannot_read() -> None:
    make_newer()

    assert [finding.kind for finding in check_sagas()] == ["unreadable"]
    restore()


def test_what_is_missing_is_reported_once_a_second_at_most() -> None:
    missing.note(Missing(Kind.ACTION, "A", "first"))
    missing.report()

    missing.note(Missing(Kind.ACTION, "A", "second"))
    missing.report()

    assert [report.missing.detail for report in missing.reports()] == ["first"]


def test_since_is_kept_until_it_has_been_silent_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    def report_at(moment: float) -> float:
        clock = SimpleNamespace(time=lambda: moment, monotonic=time.monotonic)
        monkeypatch.setattr(missing, "time", clock)
        missing.forget()
        missing.note(Missing(Kind.ACTION, "A", "do"))
        missing.report()
        return missing.reports()[0].since

    assert report_at(1000) == 1000
    assert report_at(1060) == 1000
    assert report_at(1200) == 1200


def test_without_redis_nothing_is_told_and_nobody_is_held_up(settings: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{closed.getsockname()[1]}/0"
        missing.note(Missing(Kind.ACTION, "A", "do"))

        missing.report()

        assert missing.reports() == []
