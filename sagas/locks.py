"""Locks as operators see them: who holds what, who waits for it, and taking one away by hand."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from django.db import transaction

from outbox.audit import Actor, log_verb, name_of
from sagas.core import verbs
from sagas.core.happenings import LockReleased
from sagas.core.state import ENDED
from sagas.engine.intervening import record_happening
from sagas.engine.locks import hand_over
from sagas.engine.statements import read_clock
from sagas.exceptions import IllegalVerb, InvalidOrder
from sagas.models import LockWait, Saga, SagaLock

RELEASE = "release_lock"
# Waiters of one page of locks.
WAITERS_SHOWN = 1_000


class Waiter(NamedTuple):
    wait: LockWait
    # None: it is gone, which should not be.
    saga: Saga | None


class HeldLock(NamedTuple):
    """A lock, who holds it, and who waits for it, next one first."""

    lock: SagaLock
    holder: Saga | None
    waiters: list[Waiter]

    @property
    def can_be_released(self) -> bool:
        return why_not_release(self.holder) is None


def describe_locks(locks: Iterable[SagaLock]) -> list[HeldLock]:
    """Return locks with their holders and waiters, in the order given."""
    locks = list(locks)
    names = {lock.name for lock in locks}
    waits = LockWait.objects.filter(name__in=names).order_by("name", "since", "saga_id")
    found = list(waits[:WAITERS_SHOWN])
    ids = {lock.saga_id for lock in locks} | {wait.saga_id for wait in found}
    sagas = Saga.objects.select_related("definition").defer("definition__source").in_bulk(ids)
    waiters: defaultdict[str, list[Waiter]] = defaultdict(list)
    for wait in found:
        waiters[wait.name].append(Waiter(wait, sagas.get(wait.saga_id)))
    return [HeldLock(lock, sagas.get(lock.saga_id), waiters[lock.name]) for lock in locks]


def locks_of(saga: Saga) -> list[HeldLock]:
    """Return the locks of a saga; no query for one whose definition has none."""
    if saga.status in ENDED or not saga.definition.as_core().takes_locks:
        return []
    return describe_locks(SagaLock.objects.filter(saga_id=saga.pk).order_by("name"))


def why_not_release(holder: Saga | None) -> str | None:
    """Return why nobody may take a lock from its holder now, or None."""
    return None if holder is None else verbs.why_not_release(holder.status, paused=holder.paused)


def release_lock(name: str, holder_id: uuid.UUID, *, actor: Actor, reason: str) -> None:
    """Take a lock from the saga that the operator saw holding it; whoever is next gets it.

    A saga that goes forwards again takes it anew before its next step. Repeated, it does nothing
    to the next holder: raises IllegalVerb when that saga does not hold it, or moves; InvalidOrder
    without a reason.
    """
    if not reason.strip():
        raise InvalidOrder("Say why: every verb needs a reason.")
    with transaction.atomic():
        holder = Saga.objects.select_for_update(no_key=True).filter(pk=holder_id).first()
        lock = SagaLock.objects.filter(name=name, saga_id=holder_id).first()
        if lock is None:
            raise IllegalVerb(holder_id, RELEASE, "It does not hold this lock any more.")
        if refusal := why_not_release(holder):
            raise IllegalVerb(holder_id, RELEASE, refusal)
        if holder is not None and holder.status not in ENDED:
            record_happening(holder, LockReleased(read_clock(), name, name_of(actor), reason))
        hand_over([holder_id], name)
        log_verb(actor, [holder or lock], RELEASE, f"{reason} [{name}]")
