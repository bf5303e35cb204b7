"""Retention: what ended long ago is archived or dropped by rule; what is unfinished stays."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db.models import DO_NOTHING
from django.db.models.functions import Now
from pytest_django import Settings

from dlq.models import DeadLetter
from sagas.checking import check_sagas
from sagas.core.verbs import Verb
from sagas.exceptions import IdempotencyConflict, IllegalVerb, SagaNotFound
from sagas.models import (
    ArchivedSaga,
    JournalEntry,
    RetentionRule,
    Saga,
    SagaStart,
    VerbRequest,
)
from sagas.replies import take_reply
from sagas.retention.archive import restore
from sagas.retention.retaining import due, retain
from sagas.retention.rules import DAY_S
from sagas.starting import start
from sagas.tasks import retain_sagas
from sagas.verbs import Order, perform
from tests.builders import QUICK, make_saga, make_step, store
from tests.sagas.ageing import let_days_pass, make_ended

pytestmark = pytest.mark.django_db

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def add_rule(action: str = "drop", *, days: int = 30, **fields: str) -> RetentionRule:
    wanted = {"definition": "*", "status": "completed"} | fields
    return RetentionRule.objects.create(action=action, keep_days=days, **wanted)


def rows_left(saga: Saga) -> dict[str, int]:
    models = (Saga, SagaStart, JournalEntry, VerbRequest, ArchivedSaga)
    counts = {
        model.__name__: model.objects.filter(
            **{"pk" if model in (Saga, ArchivedSaga) else "saga_id": saga.pk}
        ).count()
        for model in models
    }
    return {name: count for name, count in counts.items() if count}


def order(request_id: str = "r1") -> Order:
    return Order(None, "because", request_id)


def test_what_ended_long_ago_is_archived_in_one_row() -> None:
    saga = make_ended(days=100)

    assert retain() == {"archived": 1}

    assert rows_left(saga) == {"ArchivedSaga": 1}
    archived = ArchivedSaga.objects.get()
    assert (archived.business_key, archived.status) == ("order-1", "completed")
    assert archived.definition_id == saga.definition_id
    assert (archived.started_at, archived.ended_at) == (saga.created_at, saga.updated_at)


def test_an_archived_saga_is_read_back_as_it_was() -> None:
    saga = make_ended("compensated", idempotency_key="k1", traceparent=TRACEPARENT)
    begun = SagaStart.objects.get(pk=saga.pk)
    entries = list(JournalEntry.objects.filter(saga_id=saga.pk).order_by("seq").values())

    retain()

    again, begin_again, journal = restore(ArchivedSaga.objects.get())
    for name in ("pk", "definition", "business_key", "status", "state", "version", "epoch"):
        assert getattr(again, name) == getattr(saga, name)
    assert (again.created_at, again.updated_at) == (saga.created_at, saga.updated_at)
    assert again.error_message == saga.error_message
    for name in ("input", "idempotency_key", "traceparent"):
        assert getattr(begin_again, name) == getattr(begun, name)
    assert [
        {name: getattr(entry, name) for name in ("saga_id", "seq", "kind", "step", "data", "at")}
        for entry in journal
    ] == entries


def test_a_rule_may_drop_instead() -> None:
    add_rule("drop", days=30)
    saga = make_ended(days=31)

    assert retain() == {"dropped": 1}

    assert rows_left(saga) == {}


@pytest.mark.parametrize("days", [0, 29.9])
def test_what_has_not_ended_for_so_long_stays(days: float) -> None:
    add_rule(days=30)
    saga = make_ended(days=days)

    assert retain() == {}

    assert rows_left(saga)["Saga"] == 1


def test_the_time_counts_from_the_last_change_not_from_the_start() -> None:
    add_rule(days=30)
    saga = make_ended(days=100)
    Saga.objects.filter(pk=saga.pk).update(updated_at=Now() - timedelta(days=29))

    assert retain() == {}


@pytest.mark.parametrize("status", ["running", "compensating", "failed"])
def test_what_moves_or_has_failed_is_never_removed(status: str) -> None:
    add_rule(days=1)
    saga = let_days_pass(make_saga(store()), 1000)
    state = saga.state | {"status": status}
    due_at = None if status == "failed" else saga.due_at
    Saga.objects.filter(pk=saga.pk).update(status=status, state=state, due_at=due_at)

    assert retain() == {}

    Saga.objects.filter(pk=saga.pk).update(status="running", state=saga.state, due_at=saga.due_at)


def test_a_definitions_own_rule_counts_more_than_the_general_one() -> None:
    add_rule("drop", days=30)
    add_rule("archive", days=60, definition="mine")
    other, young, old = (
        make_ended(days=40, definition="other"),
        make_ended(days=40, definition="mine"),
        make_ended(days=70, definition="mine"),
    )

    assert retain() == {"dropped": 1, "archived": 1}

    assert rows_left(other) == {}
    assert rows_left(young)["Saga"] == 1
    assert rows_left(old) == {"ArchivedSaga": 1}


def test_every_end_has_a_rule_of_its_own() -> None:
    add_rule(days=30, status="compensated")
    completed, compensated = make_ended(days=40), make_ended("compensated", days=40)

    assert retain() == {"dropped": 1}

    assert rows_left(completed)["Saga"] == 1
    assert rows_left(compensated) == {}


def test_settings_count_without_a_rule(settings: Settings) -> None:
    settings.SAGAS_KEEP_ENDED_DAYS, settings.SAGAS_ENDED_ACTION = 10, "drop"
    make_ended(days=11)

    assert retain() == {"dropped": 1}


def test_a_rule_shorter_than_the_longest_retry_waits_for_that() -> None:
    """Case 35: whatever recognises a repeated call stays while the call may be repeated."""
    add_rule(days=1)
    patient = make_step("A", undo_retry=QUICK._replace(total_s=50 * DAY_S))
    make_ended(days=49, business_key="young", steps=(patient,))
    make_ended(days=51, business_key="old", steps=(patient,))

    assert retain() == {"dropped": 1}

    assert Saga.objects.get().business_key == "young"


def test_batches_go_on_until_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagas.retention.retaining.BATCH", 2)
    sagas = [make_ended(business_key=f"o-{n}") for n in range(5)]

    assert retain() == {"archived": 5}

    assert set(ArchivedSaga.objects.values_list("pk", flat=True)) == {saga.pk for saga in sagas}


def test_definitions_take_turns_and_a_run_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagas.retention.retaining.BATCH", 1)
    for name in ("one", "two"):
        for _ in range(3):
            make_ended(definition=name)
    clock = iter(range(100))
    monkeypatch.setattr("sagas.retention.retaining.time.monotonic", lambda: next(clock))

    # Six turns: completed, compensated and abandoned of either definition.
    assert retain(budget_s=7) == {"archived": 2}

    names = ArchivedSaga.objects.values_list("definition__name", flat=True)
    assert sorted(names) == ["one", "two"]


def test_a_second_run_does_nothing() -> None:
    make_ended()
    retain_sagas()

    assert retain() == {}
    assert ArchivedSaga.objects.count() == 1


def test_verb_requests_go_with_their_saga() -> None:
    saga = make_ended()
    VerbRequest.objects.create(request_id="r1", saga=saga, verb="pause", version=1)

    retain()

    assert rows_left(saga) == {"ArchivedSaga": 1}
    [request] = ArchivedSaga.objects.get().document["requests"]
    assert (request["request_id"], request["verb"]) == ("r1", "pause")


@pytest.mark.parametrize("action", ["archive", "drop"])
def test_an_idempotency_key_outlives_its_saga(action: str) -> None:
    """Case 35: a late manual retry of a start finds the saga that it had started."""
    add_rule(action, days=30)
    saga = make_ended(days=40, idempotency_key="k1")
    retain()

    again = start("test", {"amount": 3}, business_key="order-1", idempotency_key="k1")

    assert (again.saga_id, again.created) == (saga.pk, False)
    with pytest.raises(IdempotencyConflict):
        start("test", {"amount": 4}, business_key="order-1", idempotency_key="k1")
    kept = SagaStart.objects.get(pk=saga.pk)
    assert (kept.input, kept.traceparent) == (None, "")


def test_keys_are_forgotten_at_last(settings: Settings) -> None:
    """Case 35: the key of a saga that is still there stays, however old."""
    settings.SAGAS_KEEP_KEYS_DAYS = 365
    gone = make_ended(days=366, idempotency_key="gone", business_key="gone")
    make_ended(days=364, idempotency_key="young", business_key="young")
    kept = let_days_pass(make_saga(store()), 366)
    SagaStart.objects.filter(pk=kept.pk).update(idempotency_key="kept")

    assert retain() == {"archived": 2, "keys": 1}

    assert set(SagaStart.objects.values_list("idempotency_key", flat=True)) == {"young", "kept"}
    assert start("test", {}, business_key="o", idempotency_key="gone").saga_id != gone.pk


def test_old_request_ids_are_forgotten_also_of_sagas_that_stay(settings: Settings) -> None:
    settings.SAGAS_KEEP_KEYS_DAYS = 365
    saga = make_saga(store())
    for request_id, days in (("old", 366), ("young", 364)):
        VerbRequest.objects.create(
            request_id=request_id, saga=saga, verb="x", version=1, at=Now() - timedelta(days=days)
        )

    assert retain() == {"requests": 1}

    assert VerbRequest.objects.get().request_id == "young"


def test_the_archive_itself_ends(settings: Settings) -> None:
    settings.SAGAS_KEEP_ARCHIVED_DAYS = 1000
    make_ended(days=1001, business_key="old")
    make_ended(days=999, business_key="young")
    retain()

    retain()

    assert ArchivedSaga.objects.get().business_key == "young"


@pytest.mark.parametrize(
    ("action", "key", "reason"),
    [
        ("archive", None, DeadLetter.Reason.FINISHED_SAGA),
        ("drop", "k1", DeadLetter.Reason.FINISHED_SAGA),
        ("drop", None, DeadLetter.Reason.UNKNOWN_SAGA),
    ],
)
def test_a_late_reply_becomes_a_dead_letter(action: str, key: str | None, reason: str) -> None:
    """Case 11."""
    add_rule(action, days=30, status="compensated")
    saga = make_ended("compensated", idempotency_key=key)
    retain()
    reply = {"message_id": "m1", "correlation_id": f"{saga.pk}/B/do", "outcome": "succeeded"}

    assert take_reply(reply) == "buried"

    assert DeadLetter.objects.get().reason == reason


def test_a_verb_for_an_archived_saga_is_refused_with_the_reason() -> None:
    saga = make_ended()
    retain()

    with pytest.raises(IllegalVerb, match="was archived"):
        perform(Verb.COMPENSATE, saga.pk, order())
    with pytest.raises(SagaNotFound):
        perform(Verb.COMPENSATE, uuid4(), order("r2"))


def test_a_dry_run_names_what_would_go_by_rule_and_changes_nothing() -> None:
    add_rule("drop", days=30, definition="mine")
    saga = make_ended(days=40, definition="mine")
    make_ended(days=100, definition="other")

    found = {(line.definition, line.rule.action, str(line.sagas)) for line in due()}
    told = run("retain", "--dry-run")

    assert found == {("mine", "drop", "1"), ("other", "archive", "1")}
    assert "mine, 30 days" in told
    assert "(settings)" in told
    assert rows_left(saga)["Saga"] == 1


def test_the_command_does_it_and_shows_what_is_archived() -> None:
    make_ended()

    assert run("retain") == "1 archived\n"
    assert run("retain") == "Nothing had to go.\n"
    assert "completed, archived" in run("show", "order-1")


def test_removing_a_saga_while_it_is_checked_is_no_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_ended()
    rows_of_journals = JournalEntry.objects.filter

    def remove_before(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.undo()
        retain()
        return rows_of_journals(*args, **kwargs)

    monkeypatch.setattr(JournalEntry.objects, "filter", remove_before)

    assert list(check_sagas()) == []
    assert Saga.objects.count() == 0


def test_the_saga_of_a_step_stays_for_as_long_as_its_parent() -> None:
    """Case 28: a parent that fails late still has its child undone."""
    parent = make_saga(store(name="parent"))
    child = make_ended(business_key="child")
    state = child.state | {"parent": {"saga": str(parent.pk), "step": "A"}}
    entry = JournalEntry.objects.get(saga_id=child.pk, seq=1)
    Saga.objects.filter(pk=child.pk).update(state=state)
    data = entry.data | {"parent": state["parent"]}
    JournalEntry.objects.filter(saga_id=child.pk, seq=1).update(data=data)

    assert retain() == {}

    state["parent"]["saga"] = str(uuid4())
    Saga.objects.filter(pk=child.pk).update(state=state)
    assert retain() == {"archived": 1}


def test_nothing_but_a_start_outlives_its_saga() -> None:
    """What else hangs on a saga has to be deleted with it, or its table grows for ever."""
    outliving = {
        relation.related_model
        for relation in Saga._meta.related_objects
        if relation.on_delete is DO_NOTHING  # type: ignore[attr-defined]
    }

    assert outliving == {SagaStart}


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("saga", *arguments, stdout=out, stderr=out)
    return out.getvalue()
