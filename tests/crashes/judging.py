"""What is left in the end: how each saga ended, and what must never be, whatever the trouble."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from dlq.models import DeadLetter
from examples.check_orders import Effect as CheckedEffect
from examples.check_orders import SagaRow, violations
from outbox.models import Delivery, Message
from sagas.checking import check_sagas, first_names, fold_rows, stray_locks
from sagas.core.definition import StepType
from sagas.core.state import Direction, from_json
from sagas.engine.intervening import state_of
from sagas.management.commands.check_effects import step_row
from sagas.models import ArchivedSaga, JournalEntry, Saga, SagaLock, SagaStart
from sagas.retention.archive import restore
from tests.crashes.world import Effect

Told = tuple[tuple[str, str], ...]


class End(NamedTuple):
    """How one saga ended, and what was done for it here and elsewhere."""

    business_key: str
    status: str
    near: Told
    far: Told

    @property
    def stands(self) -> str:
        """The steps whose effects stand: "AB"; "AA" if it was done twice, "-A" if undone twice."""
        stands: Counter[str] = Counter()
        for step, direction in (*self.near, *self.far):
            stands[step] += 1 if direction == Direction.FORWARD else -1
        return "".join(f"-{step}" if n < 0 else step * n for step, n in sorted(stands.items()))


class Outcome(NamedTuple):
    ends: list[End]
    # What must never be, whatever the trouble.
    findings: list[str]


class Fate(NamedTuple):
    """What has become of a saga, be it that its row is gone: archived, or dropped."""

    business_key: str
    status: str


def fates(sagas: Iterable[Saga], since: UUID) -> list[Fate]:
    """Return the fates of these sagas, and of those with ids after `since` that are gone."""
    archived = ArchivedSaga.objects.filter(pk__gt=since)
    released = SagaStart.objects.filter(pk__gt=since, released_at__isnull=False)
    dropped = released.exclude(pk__in=archived.values("pk"))
    kept_no_more = [
        *(Fate(row.business_key, f"{row.status}, archived") for row in archived),
        *(Fate(start.idempotency_key or "", "dropped") for start in dropped),
    ]
    return [Fate(saga.business_key, saga.status) for saga in sagas] + sorted(kept_no_more)


def ends_of(fates: Iterable[Fate], near: list[Effect], far: list[Effect]) -> list[End]:
    return [
        End(key.partition("-")[2], status, _of(key, near), _of(key, far)) for key, status in fates
    ]


def _of(business_key: str, done: list[Effect]) -> Told:
    own = (effect for effect in done if effect.business_key == business_key)
    return tuple(sorted((effect.step, effect.direction) for effect in own))


def wrong_with(sagas: Sequence[Saga], done: list[Effect], since: UUID) -> Iterator[str]:
    """Give what must never be of these sagas, for which all of this was done.

    Dead letters count with ids after `since`.
    """
    for finding in check_sagas([saga.pk for saga in sagas]):
        yield f"{finding.kind}: {finding.message}"
    for saga in sagas:
        if saga.due_at is not None:
            yield f"{saga.business_key} does not come to rest: {saga.status}"
        elif saga.status in ("running", "compensating"):
            yield f"{saga.business_key} is stranded: {saga.status}"
        for what in violations(_row(saga), list(_checked(saga, done))):
            yield f"{saga.business_key} {what}"
    yield from (f"{finding.saga_id}: {finding.message}" for finding in stray_locks())
    if left := SagaLock.objects.count():
        yield f"{left} locks are left"
    # A reply may come after the end of its saga; nothing else is nobody's.
    letters = DeadLetter.objects.filter(pk__gt=since).exclude(
        reason=DeadLetter.Reason.FINISHED_SAGA
    )
    yield from (f"dead letter {letter}: {letter.reason}" for letter in letters)


def half_gone(since: UUID) -> Iterator[str]:
    """Give what is left of sagas with ids after `since` that are gone, and what is missing."""
    present = Saga.objects.filter(pk__gt=since).values("pk")
    starts = SagaStart.objects.filter(saga_id__gt=since)
    for rows in (JournalEntry.objects.filter(saga_id__gt=since), starts.filter(released_at=None)):
        if left := rows.exclude(saga_id__in=present).count():
            yield f"{left} rows of {rows.model.__name__} have lost their sagas"
    if both := starts.filter(saga_id__in=present).exclude(released_at=None).count():
        yield f"{both} sagas are there though their keys are released"
    for archived in ArchivedSaga.objects.filter(pk__gt=since).select_related("definition"):
        saga, _start, journal = restore(archived)
        folded, _names = fold_rows(first_names(archived.definition.as_core(), journal), journal)
        if folded != from_json(saga.state, version=saga.version):
            yield f"{saga.business_key}: the archive does not have its whole journal"


def begun_early(sagas: Iterable[Saga]) -> Iterator[str]:
    """Give the sagas that have begun before their time."""
    for saga in sagas:
        starts_at = saga.state.get("starts_at")
        if starts_at is None:
            continue
        first = JournalEntry.objects.filter(saga_id=saga.pk, seq=2).first()
        if first is not None and first.at.timestamp() < starts_at:
            yield f"{saga.business_key} began before its time"


def undone_too_often(ends: Iterable[End]) -> Iterator[str]:
    yield from (f"{end} undid what did not stand" for end in ends if "-" in end.stands)


def _row(saga: Saga) -> SagaRow:
    definition, state = state_of(saga)
    steps = tuple(
        step_row(step, step_state)
        for step, step_state in zip(definition.steps, state.steps, strict=True)
        if step.type == StepType.ACTION
    )
    return SagaRow(str(saga.pk), saga.business_key, saga.status, steps)


def _checked(saga: Saga, done: list[Effect]) -> Iterator[CheckedEffect]:
    """Give the effects of a saga as `check_effects` reads them from participants' tables."""
    own = [effect for effect in done if effect.business_key == saga.business_key]
    undone = Counter(effect.step for effect in own if effect.direction == Direction.BACKWARD)
    for number, effect in enumerate(own):
        if effect.direction == Direction.FORWARD:
            # The first one undone is the first one done.
            stands = undone[effect.step] <= 0
            undone[effect.step] -= 1
            yield CheckedEffect(
                "", number, str(saga.pk), saga.business_key, effect.step, "", stands
            )


def lost_messages(sagas: Iterable[Saga], published: Iterable[str]) -> Iterator[str]:
    """Give what is wrong with the messages, given the ids of those that went out, in order."""
    if left := Delivery.objects.count():
        yield f"{left} messages are left in the outbox"
    firsts = dict.fromkeys(published)
    for saga in sagas:
        messages = Message.objects.filter(saga_id=saga.pk).order_by("pk")
        commands = messages.filter(type__startswith="command.")
        # Each route keeps its own order.
        for of_route in (commands, messages.exclude(pk__in=commands)):
            written = [str(pk) for pk in of_route.values_list("pk", flat=True)]
            if [pk for pk in firsts if pk in set(written)] != written:
                yield f"{saga.business_key}: messages are lost or out of order"
