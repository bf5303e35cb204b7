"""Whether sagas and the sagas that their steps have started agree about each other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sagas import catalogue
from sagas.core.state import (
    ENDED,
    SagaState,
    SagaStatus,
    StepState,
    StepStatus,
    WaitsFor,
    from_json,
)
from sagas.models import Saga

# A saga and its state.
Member = tuple[Saga, SagaState]


class Trouble(NamedTuple):
    saga: Saga
    kind: str
    message: str


def troubles(members: Sequence[Member]) -> Iterator[Trouble]:
    """Yield children that nobody waits for, and steps that wait for a child that has ended."""
    yield from _orphans(members)
    yield from _stranded(members)


def _orphans(members: Sequence[Member]) -> Iterator[Trouble]:
    children = [
        (saga, state.parent)
        for saga, state in members
        if state.parent is not None and state.status == SagaStatus.RUNNING
    ]
    parents = _read({uuid.UUID(parent["saga"]) for _, parent in children})
    for saga, parent in children:
        why = _why_orphaned(saga, parent, parents.get(parent["saga"]))
        # It may have ended since its row was read.
        if why and Saga.objects.filter(pk=saga.pk, status=SagaStatus.RUNNING).exists():
            yield Trouble(saga, "orphaned", f"Saga {parent['saga']}, which has started it, {why}.")


def _why_orphaned(child: Saga, parent: dict[str, str], known: Member | None) -> str:
    if known is None:
        return "is gone"
    saga, state = known
    if state.status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED):
        return f"is {state.status}"
    definition = catalogue.readable({saga.definition_id}).get(saga.definition_id)
    if definition is None:
        return ""
    names = [step.name for step in definition.steps]
    step = state.steps[names.index(parent["step"])] if parent["step"] in names else None
    if step is None or step.child != str(child.pk):
        return f"does not wait for it at {parent['step']}"
    return ""


def _stranded(members: Sequence[Member]) -> Iterator[Trouble]:
    waiting = [
        (saga, state, uuid.UUID(step.child))
        for saga, state in members
        if state.status not in ENDED
        for step in state.steps
        if step.child and _waits(step)
    ]
    statuses = dict(
        Saga.objects.filter(pk__in={child for *_, child in waiting}).values_list("pk", "status")
    )
    for saga, state, child in waiting:
        status = statuses.get(child)
        if status is not None and SagaStatus(status) not in ENDED:
            continue
        # A child tells its parent in the transaction of its end, maybe since the row was read.
        if Saga.objects.filter(pk=saga.pk, version=state.version).exists():
            what = "is gone" if status is None else f"is {status}"
            yield Trouble(saga, "stranded", f"It waits for saga {child}, which {what}.")


def _waits(step: StepState) -> bool:
    return step.waits_for == WaitsFor.SAGA and (
        step.status == StepStatus.WAITING
        or (step.status == StepStatus.COMPENSATING and step.accepted)
    )


def _read(ids: set[uuid.UUID]) -> dict[str, Member]:
    rows = Saga.objects.filter(pk__in=ids) if ids else ()
    return {str(row.pk): (row, from_json(row.state, version=row.version)) for row in rows}
