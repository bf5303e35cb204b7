"""Retention: what ended long ago is archived or dropped, in small batches, by rule.

What moves and what has failed stays. Sagas are looked for by their ids, which hold the time of
their start, so the hot path writes no index for it; the time of their end decides.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, JSONField, OuterRef, QuerySet, UUIDField, Value
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Now

from outbox.paging import CappedCount, count_up_to, first_id_at
from sagas import catalogue
from sagas.engine.statements import read_clock, to_datetime
from sagas.models import (
    ArchivedSaga,
    AwaitedDecision,
    Definition,
    RetentionRule,
    Saga,
    SagaStart,
    VerbRequest,
)
from sagas.retention.archive import archive
from sagas.retention.rules import DAY_S, Rule, Rules, longest_retry_s

# Sagas of one transaction, so that what waits for one of them never waits long.
BATCH = 200
# Rows of one transaction where a row is small and nobody waits for it.
SMALL_ROWS = 2_000
DEFAULT_BUDGET_S = 20.0
COUNT_CAP = 100_000

_BEFORE_ALL = uuid.UUID(int=0)
# What is said of each action once it is done.
DONE = {"archive": "archived", "drop": "dropped"}


# The saga whose step has started this one: as long as it is there it may want it undone.
_PARENT = Saga.objects.filter(
    pk=Cast(KeyTextTransform("saga", KeyTransform("parent", OuterRef("state"))), UUIDField())
)


class Target(NamedTuple):
    """Ended sagas of one version of a definition, the rule for them, and how old they must be."""

    definition_id: int
    definition: str
    status: str
    rule: Rule
    ended_before: datetime

    def sagas(self) -> QuerySet[Saga]:
        """Return those that have to go, found by the index over definition and id."""
        return (
            Saga.objects.filter(
                definition_id=self.definition_id,
                status=self.status,
                # Nobody ends before the start: the id narrows, the time of the last change decides.
                pk__lt=first_id_at(self.ended_before),
                updated_at__lt=self.ended_before,
            )
            .exclude(Exists(_PARENT))
            .order_by("pk")
        )


class Due(NamedTuple):
    """What one rule would remove now of one definition and status."""

    definition: str
    status: str
    rule: Rule
    sagas: CappedCount


def retain(*, budget_s: float = DEFAULT_BUDGET_S) -> dict[str, int]:
    """Remove what has to go and return how many of each kind; safe to run twice at once.

    Stops when the time is up; the next run goes on. Definitions take turns, a batch each, so that
    a long queue of one does not keep the others waiting.
    """
    deadline = time.monotonic() + budget_s
    jobs = deque(_jobs())
    done: Counter[str] = Counter()
    while jobs and time.monotonic() < deadline:
        what, batches = jobs.popleft()
        count = next(batches, 0)
        if count:
            done[what] += count
            jobs.append((what, batches))
    return dict(done)


def due() -> Iterator[Due]:
    """Yield what the rules would remove now; nothing is changed."""
    for target in _targets(to_datetime(read_clock())):
        if sagas := count_up_to(target.sagas(), COUNT_CAP):
            yield Due(target.definition, target.status, target.rule, sagas)


def _jobs() -> Iterator[tuple[str, Iterator[int]]]:
    """Yield what is counted, and the batches that do it: each gives how many rows it removed."""
    now = to_datetime(read_clock())
    for target in _targets(now):
        yield DONE[target.rule.action], _remove_sagas(target)
    for what, rows in _what_is_old(now).items():
        yield what, _delete_in_batches(rows)


def _what_is_old(now: datetime) -> dict[str, QuerySet[Any]]:
    """Return what else is kept for a time only, by its name."""
    return {
        "keys": _old_keys(now),
        "requests": _old_requests(now),
        "archived before": _old_archive(now),
        "decisions": _past_decisions(now),
    }


def _targets(now: datetime) -> list[Target]:
    rules = Rules()
    names = dict(Definition.objects.values_list("pk", "name"))
    targets = []
    # What only a newer release can read, only that may remove.
    for pk, definition in catalogue.readable(set(names)).items():
        longest_s = longest_retry_s(definition)
        for status in RetentionRule.Status.values:
            rule = rules.find(names[pk], status)
            # A definition stored since the rule was set may retry for longer than it allows.
            keep_s = max(rule.keep_days * DAY_S, longest_s)
            targets.append(Target(pk, names[pk], status, rule, now - timedelta(seconds=keep_s)))
    return targets


def _remove_sagas(target: Target) -> Iterator[int]:
    last = _BEFORE_ALL
    while True:
        with transaction.atomic():
            # A saga that somebody has locked is about to change; its turn comes later. What has
            # changed before we got the lock is checked again by PostgreSQL.
            free = target.sagas().filter(pk__gt=last).select_for_update(skip_locked=True)
            ids = list(free.values_list("pk", flat=True)[:BATCH])
            if not ids:
                return
            _commit_without_waiting()
            if target.rule.action == RetentionRule.Action.ARCHIVE:
                archive(ids)
            _forget(ids)
        last = ids[-1]
        yield len(ids)


def _commit_without_waiting() -> None:
    """Leave the disk to the hot path: what a crash takes back is removed by the next run."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")


def _forget(ids: list[uuid.UUID]) -> None:
    """Delete sagas with all that hangs on them; of starts with an idempotency key, keep the key."""
    starts = SagaStart.objects.filter(saga_id__in=ids)
    starts.filter(idempotency_key=None).delete()
    starts.update(
        released_at=Now(), input=Value(None, JSONField()), traceparent="", tenant="", search=None
    )
    Saga.objects.filter(pk__in=ids).only("pk").delete()


def _delete_in_batches(rows: QuerySet[Any]) -> Iterator[int]:
    while ids := list(rows.values_list("pk", flat=True)[:SMALL_ROWS]):
        yield rows.model._base_manager.filter(pk__in=ids).delete()[0]


def _old_keys(now: datetime) -> QuerySet[SagaStart]:
    edge = first_id_at(now - timedelta(days=settings.SAGAS_KEEP_KEYS_DAYS))
    return SagaStart.objects.filter(released_at__isnull=False, saga_id__lt=edge).order_by("saga_id")


def _old_requests(now: datetime) -> QuerySet[VerbRequest]:
    edge = now - timedelta(days=settings.SAGAS_KEEP_KEYS_DAYS)
    return VerbRequest.objects.filter(at__lt=edge).order_by("at")


def _old_archive(now: datetime) -> QuerySet[ArchivedSaga]:
    edge = first_id_at(now - timedelta(days=settings.SAGAS_KEEP_ARCHIVED_DAYS))
    return ArchivedSaga.objects.filter(pk__lt=edge).order_by("pk")


def _past_decisions(now: datetime) -> QuerySet[AwaitedDecision]:
    rows = AwaitedDecision.objects
    past = rows.filter(since__lt=now - timedelta(hours=1)).exclude(pk__in=rows.open().values("pk"))
    return past.order_by("pk")
