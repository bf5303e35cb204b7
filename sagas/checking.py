"""Proving that what is stored holds together: the saga row is the fold of its journal."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from sagas import catalogue, relatives
from sagas.core.definition import Definition
from sagas.core.evolving import evolve
from sagas.core.journal import Entry, Kind, initial
from sagas.core.state import ENDED, MOVING, SagaState, from_json
from sagas.models import JournalEntry, LockWait, Saga, SagaLock

BATCH = 500
# A saga that is due this long has been forgotten by every worker.
STUCK_AFTER = timedelta(minutes=5)
# Whoever waits for nobody finds out at the next look.
LONGEST_SILENCE = timedelta(minutes=3)


class Finding(NamedTuple):
    """Something that should not be, in words.

    Its kind is broken_journal, wrong_snapshot, stuck, unreadable, undone_twice, orphaned (a child
    that nobody waits for) stranded (a step that waits for a child that has ended),
    stray_lock (held by nobody any more) or stray_wait (in the queue for a lock for nothing).
    """

    saga_id: uuid.UUID
    business_key: str
    kind: str
    message: str


def check_sagas(saga_ids: Iterable[uuid.UUID] | None = None) -> Iterator[Finding]:
    """Yield what is wrong with the given sagas, or with all of them; reads in batches by key."""
    last: uuid.UUID | None = None
    while True:
        rows = Saga.objects.order_by("pk")
        if saga_ids is not None:
            rows = rows.filter(pk__in=list(saga_ids))
        if last is not None:
            rows = rows.filter(pk__gt=last)
        batch = list(rows[:BATCH])
        if not batch:
            return
        yield from _check_batch(batch)
        last = batch[-1].pk


def stuck_sagas() -> Iterator[Finding]:
    """Yield sagas that have been due for long without anybody taking them."""
    for saga in Saga.objects.filter(due_at__lt=Now() - STUCK_AFTER).order_by("due_at")[:BATCH]:
        yield Finding(saga.pk, saga.business_key, "stuck", f"It has been due since {saga.due_at}.")


def stray_locks() -> Iterator[Finding]:
    """Yield locks whose holder has ended or is gone, and waiters that wait for nobody."""
    moving_on = Saga.objects.filter(pk=OuterRef("saga_id")).exclude(status__in=ENDED)
    for lock in SagaLock.objects.filter(~Exists(moving_on)).order_by("pk"):
        text = f"It holds lock {lock.name}, but has ended or is gone. Release the lock by hand."
        yield _finding(lock.saga_id, "stray_lock", text)
    running = Saga.objects.filter(pk=OuterRef("saga_id"), status=Saga.Status.RUNNING)
    others = SagaLock.objects.filter(name=OuterRef("name")).exclude(saga_id=OuterRef("saga_id"))
    silent = Q(since__lt=Now() - LONGEST_SILENCE)
    for_nobody = silent & Exists(running.filter(paused=False)) & ~Exists(others)
    for wait in LockWait.objects.filter(~Exists(running) | for_nobody).order_by("since"):
        text = f"It is in the queue for lock {wait.name}, but nobody holds it, or it has stopped."
        yield _finding(wait.saga_id, "stray_wait", text)


def _finding(saga_id: uuid.UUID, kind: str, message: str) -> Finding:
    key = Saga.objects.filter(pk=saga_id).values_list("business_key", flat=True).first()
    return Finding(saga_id, key or "", kind, message)


def _check_batch(batch: list[Saga]) -> Iterator[Finding]:
    ids = [saga.pk for saga in batch]
    journals: dict[uuid.UUID, list[JournalEntry]] = {pk: [] for pk in ids}
    for row in JournalEntry.objects.filter(saga_id__in=ids).order_by("saga_id", "seq"):
        journals[row.saga_id].append(row)
    definitions = catalogue.readable({saga.definition_id for saga in batch})
    yield from _journals_ahead(batch, journals)
    for saga in batch:
        if saga.definition_id not in definitions:
            message = "A newer release wrote its definition; this one cannot read it."
            yield Finding(saga.pk, saga.business_key, "unreadable", message)
            continue
        # Entries that came after the row was read belong to a later version of it.
        rows = [row for row in journals[saga.pk] if row.seq <= saga.version]
        finding = _check(saga, definitions[saga.definition_id], rows)
        # Its journal may have gone to the archive after its row was read.
        if finding and Saga.objects.filter(pk=saga.pk).exists():
            yield finding
    members = [(saga, from_json(saga.state, version=saga.version)) for saga in batch]
    for trouble in relatives.troubles(members):
        yield Finding(trouble.saga.pk, trouble.saga.business_key, trouble.kind, trouble.message)


def _journals_ahead(
    batch: list[Saga], journals: dict[uuid.UUID, list[JournalEntry]]
) -> Iterator[Finding]:
    """Yield sagas whose rows know nothing of the last entries of their journals."""
    ahead = {s.pk: s for s in batch if journals[s.pk] and journals[s.pk][-1].seq > s.version}
    if not ahead:
        return
    # Most of them have only gone on since their rows were read.
    for pk, version in Saga.objects.filter(pk__in=ahead).values_list("pk", "version"):
        if journals[pk][-1].seq > version:
            message = f"Version {version}, but the journal goes on to {journals[pk][-1].seq}."
            yield Finding(pk, ahead[pk].business_key, "broken_journal", message)


def _check(saga: Saga, definition: Definition, rows: list[JournalEntry]) -> Finding | None:
    if [row.seq for row in rows] != list(range(1, saga.version + 1)):
        message = f"Version {saga.version}, but the journal has entries {_ranges(rows)}."
        return Finding(saga.pk, saga.business_key, "broken_journal", message)
    folded, _ = fold_rows(first_names(definition, rows), rows)
    stored = from_json(saga.state, version=saga.version)
    if folded != stored:
        message = "; ".join(_differences(definition, stored, folded))
        return Finding(saga.pk, saga.business_key, "wrong_snapshot", message)
    if stored.status != saga.status or (stored.paused_at is not None) != saga.paused:
        message = f"Status {saga.status} and paused {saga.paused} differ from the state."
        return Finding(saga.pk, saga.business_key, "wrong_snapshot", message)
    if stored.status in MOVING and not saga.paused and saga.due_at is None:
        message = "It moves, but is never due."
        return Finding(saga.pk, saga.business_key, "stuck", message)
    if twice := _undone_twice(rows):
        message = f"Undone twice without having been done again: {', '.join(twice)}."
        return Finding(saga.pk, saga.business_key, "undone_twice", message)
    return None


# After these there may be an effect again.
_DONE_AGAIN = frozenset({Kind.STEP_SENT, Kind.STEP_SUCCEEDED, Kind.STEP_WAITING, Kind.LATE_REPLY})


def _undone_twice(rows: Iterable[JournalEntry]) -> list[str]:
    undone: set[str] = set()
    twice = []
    for row in rows:
        if row.kind == Kind.REWOUND:
            undone.clear()
        elif row.kind in _DONE_AGAIN:
            undone.discard(row.step)
        elif row.kind == Kind.UNDO_SUCCEEDED:
            if row.step in undone:
                twice.append(row.step)
            undone.add(row.step)
    return twice


def _differences(definition: Definition, stored: SagaState, folded: SagaState) -> Iterator[str]:
    """Yield, field by field, what the row says and what its journal says."""
    for field in stored._fields:
        row, journal = getattr(stored, field), getattr(folded, field)
        if field != "steps" and row != journal:
            yield f"{field} is {row}, by the journal {journal}"
    for step, row, journal in zip(definition.steps, stored.steps, folded.steps, strict=True):
        for field in row._fields:
            if getattr(row, field) != getattr(journal, field):
                yield (
                    f"{field} of {step.name} is {getattr(row, field)}, "
                    f"by the journal {getattr(journal, field)}"
                )


def first_names(definition: Definition, rows: Iterable[JournalEntry]) -> list[str]:
    """Return the names of the steps at the beginning of a journal.

    Entries before a move to another version name the steps of the older one.
    """
    moved = next((row for row in rows if row.kind == Kind.MOVED), None)
    return moved.data["before"] if moved else [step.name for step in definition.steps]


def fold_rows(names: list[str], rows: Iterable[JournalEntry]) -> tuple[SagaState, list[str]]:
    """Return the state after the rows, and the names of its steps. `names`: those at first."""
    state = initial(len(names))
    for row in rows:
        step = names.index(row.step) if row.step else None
        state = evolve(state, Entry(Kind(row.kind), row.at.timestamp(), step, row.data))
        if row.kind == Kind.MOVED:
            names = row.data["after"]
    return state, names


def _ranges(rows: list[JournalEntry]) -> str:
    return ", ".join(str(row.seq) for row in rows[:20]) or "none"
