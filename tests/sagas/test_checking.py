"""manage.py saga check beyond the fold: relatives, undos and what nobody would ever look at."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from sagas import checking
from sagas.checking import check_sagas
from sagas.core.definition import Step, StepType
from sagas.engine.driver import Driver
from sagas.models import JournalEntry, Saga
from tests.builders import Script, drive_on, make_saga, make_step, no, store

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _journals_tell_all() -> None:
    """These tests break what every other test of sagas keeps."""


def kinds() -> list[str]:
    return [finding.kind for finding in check_sagas()]


def family(driver: Driver) -> tuple[Saga, Saga]:
    """A parent that waits for its child, which has not begun."""
    child = store(make_step("P"), name="shipping")
    parent = store(
        Step("Ship", "shipping", "start", "compensate", type=StepType.SAGA), name="order"
    )
    Script(participant="Nobody").register(child)
    saga = make_saga(parent)
    driver.drive()
    saga.refresh_from_db()
    return saga, Saga.objects.get(pk=saga.state["steps"][0]["child"])


def test_a_family_that_agrees_is_sound(driver: Driver) -> None:
    family(driver)

    assert kinds() == []


def test_a_child_whose_parent_is_gone_is_an_orphan(driver: Driver) -> None:
    parent, child = family(driver)
    JournalEntry.objects.filter(saga_id=parent.pk).delete()
    Saga.objects.filter(pk=parent.pk).delete()

    (finding,) = check_sagas()

    assert (finding.saga_id, finding.kind) == (child.pk, "orphaned")
    assert f"Saga {parent.pk}, which has started it, is gone." in finding.message


def test_a_child_that_its_parent_does_not_wait_for_is_an_orphan(driver: Driver) -> None:
    parent, child = family(driver)
    _change(parent, child=str(uuid.uuid4()))

    found = {finding.kind: finding for finding in check_sagas()}

    assert found["orphaned"].saga_id == child.pk
    assert "does not wait for it at Ship" in found["orphaned"].message
    assert found["stranded"].saga_id == parent.pk


def test_a_step_that_waits_for_a_child_that_has_ended_is_stranded(driver: Driver) -> None:
    parent, child = family(driver)
    Saga.objects.filter(pk=child.pk).update(status="completed", due_at=None)

    found = {finding.kind: finding for finding in check_sagas()}

    assert found["stranded"].message == f"It waits for saga {child.pk}, which is completed."
    assert found["stranded"].saga_id == parent.pk


def test_a_step_that_was_undone_twice_is_named(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B"))
    Script(doB=[no()]).register(definition)
    saga = make_saga(definition)
    driver.drive()
    saga.refresh_from_db()
    assert saga.status == "compensated"
    undone = JournalEntry.objects.get(saga_id=saga.pk, kind="undo_succeeded")
    undone.seq = saga.version + 1
    undone.save(force_insert=True)
    Saga.objects.filter(pk=saga.pk).update(version=saga.version + 1)

    (finding,) = check_sagas()

    assert (finding.kind, finding.message) == (
        "undone_twice",
        "Undone twice without having been done again: A.",
    )


def test_a_step_that_was_done_again_may_be_undone_again(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B"), on_failure="park")
    Script(doB=[no(), no()]).register(definition)
    saga = make_saga(definition)
    driver.drive()
    for verb, more in (("rewind", ("--step", "A")), ("compensate", ())):
        _order(verb, *more)
        for _ in range(3):
            drive_on(driver, saga)
    saga.refresh_from_db()

    undone = JournalEntry.objects.filter(saga_id=saga.pk, kind="undo_succeeded", step="A")
    assert (saga.status, undone.count()) == ("compensated", 2)
    assert kinds() == []


def test_a_saga_that_moves_and_is_never_due_is_stuck() -> None:
    saga = make_saga(store())
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE sagas_saga DROP CONSTRAINT sagas_saga_due_while_moving")
    Saga.objects.filter(pk=saga.pk).update(due_at=None)

    (finding,) = check_sagas()

    assert (finding.kind, finding.message) == ("stuck", "It moves, but is never due.")


def _change(saga: Saga, **fields: Any) -> None:
    """Change what is known of a saga's first step, in its row and in its journal."""
    saga.state["steps"][0].update(fields)
    saga.save(update_fields=["state"])
    waiting = JournalEntry.objects.get(saga_id=saga.pk, kind="step_waiting")
    JournalEntry.objects.filter(saga_id=saga.pk, seq=waiting.seq).update(data=waiting.data | fields)


def _order(verb: str, *more: str) -> None:
    call_command("saga", verb, "order-1", "--reason", "a test", *more)


def test_a_journal_that_goes_on_beyond_its_row_is_told(driver: Driver) -> None:
    definition = store(make_step("A"))
    Script().register(definition)
    saga = make_saga(definition)
    driver.drive()
    saga.refresh_from_db()
    assert kinds() == []

    journal = JournalEntry.objects.filter(saga_id=saga.pk)
    beyond = {"saga_id": saga.pk, "seq": saga.version + 1, "kind": "paused", "data": {}}
    journal.create(**beyond, at=saga.updated_at)

    [finding] = check_sagas()
    assert finding.kind == "broken_journal"
    assert finding.message == f"Version {saga.version}, but the journal goes on to {beyond['seq']}."


def test_a_saga_that_goes_on_while_it_is_checked_is_no_finding(driver: Driver) -> None:
    definition = store(make_step("A"))
    Script().register(definition)
    make_saga(definition)
    read_before = list(Saga.objects.all())
    driver.drive()

    assert list(checking._check_batch(read_before)) == []
