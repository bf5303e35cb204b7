"""Retention beside everybody else who may want the same saga."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from uuid import UUID

import pytest
from django.db import transaction

from dlq.models import DeadLetter
from sagas.core.verbs import Verb
from sagas.exceptions import IllegalVerb
from sagas.models import ArchivedSaga, Saga
from sagas.replies import take_reply
from sagas.retention import retaining
from sagas.retention.archive import archive
from sagas.retention.retaining import retain
from sagas.verbs import Order, perform
from tests.sagas.ageing import make_ended
from tests.sagas.rivals import Rival, rival, wait_until_blocked

pytestmark = pytest.mark.django_db(transaction=True)

ORDER = Order(None, "because", "r1")


def late_success(saga: Saga) -> dict[str, object]:
    """Return a reply that tells of an effect of a saga that is undone."""
    return {"message_id": "m1", "correlation_id": f"{saga.pk}/B/do", "outcome": "succeeded"}


def while_archiving(monkeypatch: pytest.MonkeyPatch, meanwhile: object) -> None:
    """Let something happen after the sagas were locked and before they are archived."""

    def archive_later(ids: Sequence[UUID]) -> None:
        monkeypatch.setattr(retaining, "archive", archive)
        meanwhile()  # type: ignore[operator]
        archive(ids)

    monkeypatch.setattr(retaining, "archive", archive_later)


def test_a_saga_that_a_late_reply_opens_again_is_not_archived() -> None:
    saga = make_ended("compensated")

    with rival() as other, transaction.atomic():
        assert take_reply(late_success(saga)) == "recorded"
        assert other.do(retain) == {}

    assert retain() == {}
    saga.refresh_from_db()
    assert saga.status == "compensating"


def test_a_reply_that_comes_while_its_saga_is_archived_is_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Case 11."""
    saga = make_ended("compensated")
    replies: list[Future[str]] = []

    def reply(other: Rival) -> None:
        replies.append(other.begin(lambda: take_reply(late_success(saga))))
        wait_until_blocked()

    with rival() as other:
        while_archiving(monkeypatch, lambda: reply(other))
        assert retain() == {"archived": 1}
        assert replies[0].result(20) == "buried"

    assert DeadLetter.objects.get().reason == DeadLetter.Reason.FINISHED_SAGA
    assert ArchivedSaga.objects.get().status == "compensated"


def test_a_verb_that_comes_while_its_saga_is_archived_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saga = make_ended()
    verbs: list[Future[Saga]] = []

    def compensate(other: Rival) -> None:
        verbs.append(other.begin(lambda: perform(Verb.COMPENSATE, saga.pk, ORDER)))
        wait_until_blocked()

    with rival() as other:
        while_archiving(monkeypatch, lambda: compensate(other))
        assert retain() == {"archived": 1}
        with pytest.raises(IllegalVerb, match="was archived"):
            verbs[0].result(20)


def test_a_saga_that_changed_before_it_was_locked_is_not_archived() -> None:
    saga = make_ended()
    with rival() as other:
        with transaction.atomic():
            perform(Verb.COMPENSATE, saga.pk, ORDER)
            assert other.do(retain) == {}
        assert other.do(retain) == {}

    saga.refresh_from_db()
    assert saga.status == "compensating"


def test_two_runs_at_once_archive_every_saga_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retaining, "BATCH", 2)
    for n in range(5):
        make_ended(business_key=f"o-{n}")
    counts: list[dict[str, int]] = []

    with rival() as other:
        while_archiving(monkeypatch, lambda: counts.append(other.do(retain)))
        counts.append(retain())

    assert counts == [{"archived": 3}, {"archived": 2}]
    assert ArchivedSaga.objects.count() == 5


def test_a_run_that_breaks_off_leaves_the_batch_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    saga = make_ended(idempotency_key="k1")

    def break_off(ids: Sequence[UUID]) -> None:
        archive(ids)
        raise KeyboardInterrupt

    monkeypatch.setattr(retaining, "archive", break_off)
    with pytest.raises(KeyboardInterrupt):
        retain()

    assert not ArchivedSaga.objects.exists()
    saga.refresh_from_db()
    assert saga.start.input == {"amount": 3}
