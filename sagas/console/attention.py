"""What needs a person, and how the last hour went; every reading is bounded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import BooleanField, Case, Q, Value, When
from django.utils import timezone

from outbox.paging import CappedCount, count_up_to, first_id_at
from sagas.console.filters import is_retrying
from sagas.models import AwaitedDecision, Participant, Saga

# Failed sagas that are grouped, newest first; groups that are shown.
GROUPED = 5_000
GROUPS_SHOWN = 12
DECISIONS_SHOWN = 8
# Sagas counted of every minute (more is shown with a "+"), and of these, those that are looked at
# for what became of them and how long it took.
STARTED_PER_MINUTE = 5_000
SAMPLE_PER_MINUTE = 300
MINUTES = 60
OVERDUE_S = 30
NOW_CAP = 1_000


@dataclass(frozen=True)
class FailedGroup:
    """Failed sagas with one cause; `sample` is the newest of them."""

    fingerprint: str
    count: CappedCount
    in_last_hour: int
    oldest_at: datetime
    newest_at: datetime
    sample: Saga


class Decisions(NamedTuple):
    """What waits for a decision: the first of it, and how much it is."""

    rows: list[Any]
    total: CappedCount


class Minute(NamedTuple):
    """What became of the sagas that were started in one minute."""

    begins_at: datetime
    completed: int = 0
    compensated: int = 0
    failed: int = 0
    moving: int = 0
    is_capped: bool = False

    @property
    def total(self) -> int:
        return self.completed + self.compensated + self.failed + self.moving


class Hour(NamedTuple):
    """The sagas of the last hour. Rates are between 0 and 1, None without a case."""

    minutes: list[Minute]
    started: CappedCount
    completed: int
    compensated: int
    failed: int
    # Of busy minutes only a sample is read; the counts beside `started` are estimates then.
    is_sampled: bool
    success_rate: float | None
    compensation_rate: float | None
    p50_s: float | None
    p95_s: float | None


class Now(NamedTuple):
    """How many sagas are on their way at this moment."""

    running: CappedCount
    compensating: CappedCount
    retrying: CappedCount
    paused: CappedCount
    overdue: CappedCount


_FAILED_GROUPS = """
SELECT fingerprint, count(*), count(*) FILTER (WHERE updated_at > now() - interval '1 hour'),
       min(updated_at), max(updated_at), (array_agg(id ORDER BY id DESC))[1]
FROM (SELECT id, fingerprint, updated_at FROM sagas_saga
      WHERE status = 'failed' ORDER BY id DESC LIMIT %(cap)s) AS failed
GROUP BY fingerprint ORDER BY count(*) DESC, max(updated_at) DESC LIMIT %(groups)s
"""

# Ids begin with the time, so the primary key alone answers how many were started when.
_STARTED = """
SELECT minute.n - 1, (
    SELECT count(*) FROM (
        SELECT FROM sagas_saga WHERE id >= minute.low AND id < minute.high LIMIT %(cap)s
    ) AS started)
FROM unnest(%(low)s::uuid[], %(high)s::uuid[]) WITH ORDINALITY AS minute (low, high, n)
"""

_BECAME = """
SELECT minute.n - 1, saga.status, saga.backward, count(*),
       percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY saga.took)
FROM unnest(%(low)s::uuid[], %(high)s::uuid[]) WITH ORDINALITY AS minute (low, high, n)
CROSS JOIN LATERAL (
    SELECT status, extract(epoch FROM updated_at - created_at)::float8 AS took,
           CASE WHEN status = 'failed' THEN state ? 'backward' ELSE false END AS backward
    FROM sagas_saga WHERE id >= minute.low AND id < minute.high
    ORDER BY id LIMIT %(cap)s
) AS saga
GROUP BY GROUPING SETS ((minute.n, saga.status, saga.backward), (saga.status, saga.backward))
"""


def failed_groups() -> list[FailedGroup]:
    """Return the failed sagas by cause, the largest group first."""
    with connection.cursor() as cursor:
        cursor.execute(_FAILED_GROUPS, {"cap": GROUPED, "groups": GROUPS_SHOWN})
        rows = cursor.fetchall()
    samples = Saga.objects.select_related("definition").defer(
        "state", "definition__spec", "definition__source"
    )
    by_id = samples.in_bulk([row[5] for row in rows])
    return [
        FailedGroup(
            fingerprint,
            CappedCount(count, capped=count >= GROUPED),
            recent,
            oldest,
            newest,
            by_id[sample],
        )
        for fingerprint, count, recent, oldest, newest, sample in rows
        if sample in by_id
    ]


def awaited_decisions(user: Any) -> Decisions:
    """Return what waits for somebody's decision: the reader's own first, then the oldest."""
    waiting = AwaitedDecision.objects.open()
    is_yours = Q(approvers="") | Q(approvers__in=user.groups.values("name"))
    if user.is_superuser:
        is_yours = Q(pk__gt=0)
    rows = (
        waiting.annotate(is_yours=_says(is_yours))
        .select_related("saga__definition")
        .defer("saga__state", "saga__definition__spec", "saga__definition__source")
        .order_by("-is_yours", "since")
    )
    shown = list(rows[:DECISIONS_SHOWN])
    if len(shown) < DECISIONS_SHOWN:
        return Decisions(shown, CappedCount(len(shown), capped=False))
    return Decisions(shown, count_up_to(waiting, NOW_CAP))


def _says(condition: Q) -> Case:
    return Case(
        When(condition, then=Value(True)), default=Value(False), output_field=BooleanField()
    )


def last_hour() -> Hour:
    """Return what became of the sagas that were started in the last 60 minutes."""
    edge = timezone.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    begins = [edge - timedelta(minutes=MINUTES - n) for n in range(MINUTES + 1)]
    ids = [first_id_at(moment) for moment in begins]
    started = dict(_read_hour(_STARTED, ids, STARTED_PER_MINUTE + 1))
    sampled: list[Counter[str]] = [Counter() for _ in range(MINUTES)]
    totals: dict[tuple[str, bool], tuple[int, list[float] | None]] = {}
    for n, status, backward, count, percentiles in _read_hour(_BECAME, ids, SAMPLE_PER_MINUTE):
        if n is None:
            totals[status, backward] = (count, percentiles)
        else:
            sampled[n][_PART.get(status, "moving")] += count
    minutes = [_scale(begins[n], started[n], sampled[n]) for n in range(MINUTES)]
    return _sum_up(minutes, totals)


def now() -> Now:
    """Return what is on its way, each counted no further than the cap."""
    moving = Saga.objects.moving()
    overdue = timezone.now() - timedelta(seconds=OVERDUE_S)
    return Now(
        running=count_up_to(moving.filter(status=Saga.Status.RUNNING), NOW_CAP),
        compensating=count_up_to(moving.filter(status=Saga.Status.COMPENSATING), NOW_CAP),
        retrying=count_up_to(Saga.objects.filter(is_retrying()), NOW_CAP),
        paused=count_up_to(moving.filter(paused=True), NOW_CAP),
        overdue=count_up_to(Saga.objects.filter(due_at__lt=overdue, paused=False), NOW_CAP),
    )


def paused_participants() -> list[Participant]:
    return list(Participant.objects.filter(paused_at__isnull=False).order_by("paused_at")[:20])


# How the chart names what became of a saga; what is not here is on its way.
_PART = {
    "completed": "completed",
    "compensated": "compensated",
    "failed": "failed",
    "abandoned": "failed",
}


def _read_hour(statement: str, ids: list[UUID], cap: int) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"low": ids[:-1], "high": ids[1:], "cap": cap})
        return list(cursor.fetchall())


def _scale(begins_at: datetime, started: int, sample: Counter[str]) -> Minute:
    """Spread all that was started in a minute as its sample is spread."""
    is_capped = started > STARTED_PER_MINUTE
    started = min(started, STARTED_PER_MINUTE)
    size = sample.total()
    parts = {name: round(count * started / size) for name, count in sample.items()}
    return Minute(begins_at, **parts, is_capped=is_capped)


def _sum_up(
    minutes: list[Minute], totals: dict[tuple[str, bool], tuple[int, list[float] | None]]
) -> Hour:
    nothing: tuple[int, list[float] | None] = (0, None)
    completed, percentiles = totals.get(("completed", False), nothing)
    compensated = totals.get(("compensated", False), nothing)[0]
    undo_failed = totals.get(("failed", True), nothing)[0]
    failed = undo_failed + totals.get(("failed", False), nothing)[0]
    ended = completed + compensated + failed
    undone = compensated + undo_failed
    p50, p95 = percentiles or (None, None)
    return Hour(
        minutes=minutes,
        started=CappedCount(sum(m.total for m in minutes), any(m.is_capped for m in minutes)),
        completed=sum(minute.completed for minute in minutes),
        compensated=sum(minute.compensated for minute in minutes),
        failed=sum(minute.failed for minute in minutes),
        is_sampled=any(minute.total >= SAMPLE_PER_MINUTE for minute in minutes),
        success_rate=completed / ended if ended else None,
        compensation_rate=compensated / undone if undone else None,
        p50_s=p50,
        p95_s=p95,
    )
