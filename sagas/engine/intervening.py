"""Changing a saga from outside the driver: operators' verbs and participants' replies.

The row is locked, not claimed: whoever holds the saga keeps its epoch, finds a new version at
its next write, and decides anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from sagas import catalogue
from sagas.core.decide import advance, is_expected
from sagas.core.definition import Definition
from sagas.core.happenings import ChildEnded, Happening, Ordered, Succeeded, Unknown
from sagas.core.mapping import outputs
from sagas.core.moves import Nothing, Wait, next_move
from sagas.core.state import ENDED, MOVING, SagaState, from_json
from sagas.engine import decisions, locks, recording, statements
from sagas.engine.held import Change, Held
from sagas.engine.waking import wake_driver_on_commit
from sagas.models import Saga
from sagas.storable import encode


def state_of(saga: Saga) -> tuple[Definition, SagaState]:
    """Return definition and state of a row, as the core knows them."""
    definition = catalogue.compiled({saga.definition_id})[saga.definition_id]
    return definition, from_json(saga.state, version=saga.version)


def record_happening(
    saga: Saga,
    happening: Happening,
    *,
    remark: Mapping[str, Any] | None = None,
    parent_knows: bool = False,
) -> None:
    """Record a happening of a saga whose row the caller has locked in its transaction.

    `remark` is added to the data of the first journal entry. `parent_knows`: the saga that has
    started it finds out for itself whether it has ended.
    """
    definition, state = state_of(saga)
    entries, after = advance(definition, state, happening)
    if not entries:
        return
    locking = definition.takes_locks
    if isinstance(happening, Ordered) and happening.target is not None:
        # It goes on under that version.
        definition = happening.target
    if remark:
        entries[0] = entries[0]._replace(data={**entries[0].data, **remark})
    change = Change(_unclaimed(saga, definition, state), entries, after)
    change.held.locking = locking
    if after.status in MOVING and any(step.sent for step in after.steps):
        # A call is in the air: its sender keeps the lease, and its answer is awaited.
        change.keeps_lease = True
    elif after.status in MOVING:
        move = next_move(definition, after, happening.at)
        if isinstance(move, Wait):
            change.due = move.until
        elif not isinstance(move, Nothing):
            change.due = happening.at
            wake_driver_on_commit()
    recording.write([change])
    decisions.settle(change)
    if not parent_knows:
        tell_parents([change])
    locks.settle([change])


def tell_parents(changes: Iterable[Change]) -> None:
    """Tell the sagas whose steps have started these that they have ended, in the transaction."""
    for change in changes:
        state = change.state
        if state.parent is None or state.status not in ENDED or not change.entries:
            continue
        if change.held.state.status not in ENDED:
            _tell_parent(change, state.parent)


def _tell_parent(change: Change, parent: dict[str, str]) -> None:
    rows = Saga.objects.select_for_update(no_key=True)
    saga = rows.filter(pk=uuid.UUID(parent["saga"])).first()
    if saga is None:
        return
    definition, _ = state_of(saga)
    at, step = statements.read_clock(), definition.index_of(parent["step"])
    child = change.held
    record_happening(saga, end_of(child.id, child.definition, change.state, at=at, step=step))


def end_of(
    child: uuid.UUID, definition: Definition, state: SagaState, *, at: float, step: int
) -> ChildEnded:
    """Return what the parent of a saga that has ended is told; `step` is the parent's."""
    told = outputs(definition, state)
    if len(encode(told).encode()) > settings.SAGAS_MAX_OUTPUT_BYTES:
        # Too much for the output of one step.
        told = {"saga_id": str(child)}
    return ChildEnded(at, step, str(child), state.status, told, state.cause)


def record_late(saga_id: uuid.UUID, result: Succeeded | Unknown, *, touched: bool) -> None:
    """Record the result of a worker that no longer holds the saga, if it tells of a new effect.

    It never advances the saga. What the worker wrote to this database (`touched`) has been rolled
    back; what it did elsewhere is in doubt and has to be undone. Does nothing while the saga still
    waits for this very attempt: whoever holds it now will make it under the same key.
    """
    if touched:
        error = {"class": "RolledBack", "message": "Another worker holds the saga."}
        result = Unknown(result.at, result.step, result.direction, result.attempt, error)
    with transaction.atomic():
        saga = Saga.objects.select_for_update(no_key=True).filter(pk=saga_id).first()
        if saga is None:
            return
        definition, state = state_of(saga)
        if is_expected(state, result):
            return
        _, after = advance(definition, state, result)
        if after.steps != state.steps:
            record_happening(saga, result)


def _unclaimed(saga: Saga, definition: Definition, state: SagaState) -> Held:
    return Held(
        id=saga.pk,
        business_key=saga.business_key,
        epoch=saga.epoch,
        definition=definition,
        input=None,
        traceparent="",
        state=state,
    )
