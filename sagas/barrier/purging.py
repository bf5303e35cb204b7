"""Retention: calls that nobody can repeat any more go, in small batches."""

from __future__ import annotations

import time

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from sagas.barrier.configuration import keep_for, wrong_with_retention
from sagas.barrier.models import HandledCall

BATCH = 1000
DEFAULT_BUDGET_S = 60.0


def purge_handled(*, budget_s: float = DEFAULT_BUDGET_S) -> int:
    """Delete calls older than SAGAS_BARRIER_KEEP_DAYS; return how many.

    A step's calls go together, when the last of them is old: the row of its action is needed
    for as long as its undo may be repeated. Stops when the time is up; the next run goes on.
    Raises ImproperlyConfigured when the retention is shorter than the longest retry: servers
    such as gunicorn run no system checks.
    """
    if problem := wrong_with_retention():
        raise ImproperlyConfigured(problem)
    deadline = time.monotonic() + budget_s
    purged = 0
    while time.monotonic() < deadline:
        keys = list(_purgeable().order_by("created_at").values_list("key", flat=True)[:BATCH])
        purged += HandledCall.objects.filter(key__in=keys).delete()[0]
        if len(keys) < BATCH:
            break
    return purged


def _purgeable() -> QuerySet[HandledCall]:
    oldest_kept = Now() - keep_for()
    younger = HandledCall.objects.filter(step=OuterRef("step"), created_at__gte=oldest_kept)
    old = HandledCall.objects.filter(created_at__lt=oldest_kept)
    return old.exclude(Exists(younger.exclude(step="")))
