"""What operators do with sagas. Page, API, command line and redrive all call these functions.

Bulk is the primitive: one saga is a batch of one. A verb, its journal entries and its row in
the admin log are one transaction; the engine's next write sees the new version and starts over.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import transaction

from outbox.audit import Actor, log_verb, name_of
from sagas import catalogue
from sagas.changes import changes_between
from sagas.core.definition import Definition
from sagas.core.happenings import Ordered
from sagas.core.mapping import input_of
from sagas.core.planning import PlanLine, plan
from sagas.core.state import SagaState
from sagas.core.undo import standing
from sagas.core.verbs import (
    TAKE_STEPS,
    Verb,
    steps_of,
    steps_to_compensate,
    why_not,
    why_not_edit,
    why_not_move,
)
from sagas.engine import statements
from sagas.engine.intervening import record_happening, state_of
from sagas.exceptions import (
    DefinitionNotFound,
    IllegalVerb,
    InvalidOrder,
    SagaNotFound,
    VersionConflict,
)
from sagas.models import ArchivedSaga, Saga, VerbRequest
from sagas.models import Definition as StoredDefinition
from sagas.storable import NotStorableError, encode_storable

# The permission that each verb needs.
PERMISSIONS = {
    Verb.RETRY: "sagas.retry_saga",
    Verb.COMPENSATE: "sagas.compensate_saga",
    Verb.PAUSE: "sagas.pause_saga",
    Verb.RESUME: "sagas.pause_saga",
    Verb.CANCEL: "sagas.cancel_saga",
    Verb.MARK_DONE: "sagas.mark_done_saga",
    Verb.SKIP: "sagas.skip_saga",
    Verb.REWIND: "sagas.rewind_saga",
    Verb.RUN_NOW: "sagas.retry_saga",
    Verb.MOVE: "sagas.move_saga",
    Verb.ABANDON: "sagas.abandon_saga",
    Verb.APPROVE: "sagas.approve_saga",
    Verb.REJECT: "sagas.approve_saga",
}
# What a retry with another input needs beside the permission to retry.
EDIT_INPUT = "sagas.edit_input_saga"
# The saga's row keeps every edition, so there cannot be many.
MAX_EDITIONS = 20


ARCHIVED = "It has ended and was archived; nothing can be done with it any more."


class Order(NamedTuple):
    """Who wants it, why, and under which request id, so that a repeated press does nothing.

    `version` is the saga's version that the operator saw; None skips that check.
    """

    actor: Actor
    reason: str
    request_id: str
    version: int | None = None


class Details(NamedTuple):
    """What some verbs need beside their reason.

    mark_done: step and evidence; skip: step and maybe an output; approve, reject, rewind: step;
    run_now: maybe a step; compensate: maybe steps, in the order in which they are undone; retry:
    maybe the new input, as a tuple of one; move: the version of the definition.
    """

    step: str = ""
    evidence: str = ""
    steps: tuple[str, ...] | None = None
    output: Any = None
    edited: tuple[Any] | None = None
    version: int | None = None


NO_DETAILS = Details()


class Result(NamedTuple):
    """What became of one saga of a batch: done, conflict, illegal or missing.

    A repeated press is told what the first one was told: done.
    """

    saga_id: uuid.UUID
    outcome: str
    message: str = ""


def perform(verb: Verb, saga_id: uuid.UUID, order: Order, details: Details = NO_DETAILS) -> Saga:
    """Give a verb to one saga and return it as it is afterwards.

    Safe to call twice with the same request id. Raises SagaNotFound, VersionConflict when the
    saga has changed since the operator saw it, IllegalVerb when its state does not allow the
    verb, and InvalidOrder when the order lacks a reason or what the verb needs.
    """
    _check_order(verb, order, details)
    with transaction.atomic():
        saga = Saga.objects.select_for_update(no_key=True).filter(pk=saga_id).first()
        if saga is None:
            raise _gone(verb, saga_id)
        if _is_repeated(verb, saga, order):
            return saga
        if order.version is not None and order.version != saga.version:
            raise VersionConflict(saga.pk, seen=order.version, found=saga.version)
        _carry_out(verb, saga, order, details)
        log_verb(order.actor, [saga], verb.value, _log_text(order, details))
    saga.refresh_from_db()
    return saga


def perform_many(
    verb: Verb,
    sagas: Sequence[tuple[uuid.UUID, int | None]],
    order: Order,
    details: Details = NO_DETAILS,
) -> list[Result]:
    """Give a verb to many sagas, each with the version seen; one refusal stops no other.

    The request id covers the batch: repeated, it does nothing twice.
    """
    _check_order(verb, order, details)
    results = []
    for saga_id, version in sagas:
        own = order._replace(request_id=f"{order.request_id}:{saga_id}", version=version)
        results.append(_try(verb, saga_id, own, details))
    return results


def _try(verb: Verb, saga_id: uuid.UUID, order: Order, details: Details) -> Result:
    try:
        perform(verb, saga_id, order, details)
    except SagaNotFound as error:
        return Result(saga_id, "missing", str(error))
    except VersionConflict as error:
        return Result(saga_id, "conflict", str(error))
    except (IllegalVerb, InvalidOrder) as error:
        return Result(saga_id, "illegal", str(error))
    return Result(saga_id, "done")


def _gone(verb: Verb, saga_id: uuid.UUID) -> SagaNotFound | IllegalVerb:
    if ArchivedSaga.objects.filter(pk=saga_id).exists():
        return IllegalVerb(saga_id, verb.value, ARCHIVED)
    return SagaNotFound(saga_id)


def _check_order(verb: Verb, order: Order, details: Details) -> None:
    if not order.reason.strip():
        raise InvalidOrder("Say why: every verb needs a reason.")
    if not 0 < len(order.request_id) <= 100:
        raise InvalidOrder("request_id must be a text of 1 to 100 characters.")
    _check_details(verb, details)


def _check_details(verb: Verb, details: Details) -> None:
    if verb == Verb.MARK_DONE and not (details.step and details.evidence.strip()):
        raise InvalidOrder("Marking by hand needs the step and evidence of what was done.")
    if verb in _NEED_STEP and not details.step:
        raise InvalidOrder(f"{verb.value} needs the step.")
    if verb == Verb.MOVE and details.version is None:
        raise InvalidOrder("Moving a saga needs the version of the definition.")


_NEED_STEP = frozenset({Verb.SKIP, Verb.REWIND, Verb.APPROVE, Verb.REJECT})
# Those that can be given to many sagas at once: they need no step.
FOR_MANY = tuple(verb for verb in Verb if verb not in _NEED_STEP | {Verb.MARK_DONE})


def was_given(verb: Verb, saga_id: uuid.UUID, request_id: str) -> bool:
    """Say whether this very order has been carried out before."""
    given = VerbRequest.objects.filter(pk=request_id, saga_id=saga_id, verb=verb.value)
    return given.exists()


def _is_repeated(verb: Verb, saga: Saga, order: Order) -> bool:
    """Take the request id for this saga and verb; say whether it had been taken before."""
    request, created = VerbRequest.objects.get_or_create(
        request_id=order.request_id,
        defaults={
            "saga": saga,
            "verb": verb.value,
            "arguments": {"reason": order.reason},
            "version": saga.version,
        },
    )
    if created:
        return False
    if request.saga_id != saga.pk or request.verb != verb.value:
        raise InvalidOrder(
            f"request_id {order.request_id!r} was used for another order; use a new one."
        )
    return True


def _carry_out(verb: Verb, saga: Saga, order: Order, details: Details) -> None:
    ordered, remark, row = _prepare(verb, saga, order.actor, details)
    ordered = ordered._replace(at=statements.read_clock(), reason=order.reason)
    record_happening(saga, ordered, remark=remark)
    if row is not None:
        Saga.objects.filter(pk=saga.pk).update(definition=row)


class _Prepared(NamedTuple):
    """An order as the core takes it, what its entry says beside, and the version moved to."""

    ordered: Ordered
    remark: dict[str, Any] = {}
    row: StoredDefinition | None = None


def _prepare(verb: Verb, saga: Saga, actor: Actor, details: Details) -> _Prepared:
    """Check the order against the saga. Raises IllegalVerb and InvalidOrder."""
    definition, state = state_of(saga)
    refusal = why_not(definition, state, verb)
    if refusal is not None:
        raise IllegalVerb(saga.pk, verb.value, refusal)
    step = _step(verb, saga, definition, state, details.step)
    ordered = Ordered(0.0, verb, name_of(actor), "", step=step, evidence=details.evidence)
    if verb == Verb.RETRY and details.edited is not None:
        changes = _check_edit(saga, state, details.edited[0])
        return _Prepared(ordered._replace(edited=details.edited), {"changes": changes})
    if verb == Verb.COMPENSATE and details.steps is not None:
        steps = _chosen(saga, definition, state, details.steps)
        return _Prepared(ordered._replace(steps=steps))
    if verb == Verb.SKIP:
        return _Prepared(ordered._replace(output=_storable(details.output)))
    if verb == Verb.MOVE:
        row, target = _target(saga, definition, state, details.version or 0)
        return _Prepared(ordered._replace(target=target), row=row)
    if verb in (Verb.APPROVE, Verb.REJECT) and not may_decide(definition, ordered.step, actor):
        group = definition.steps[ordered.step or 0].approvers
        text = f"Only members of the group {group} decide here."
        raise IllegalVerb(saga.pk, verb.value, text)
    return _Prepared(ordered)


class Preview(NamedTuple):
    """What an order would do now: the calls if each succeeds, and what it changes in the input."""

    calls: tuple[PlanLine, ...]
    changes: list[dict[str, Any]]
    # The steps whose effects stand, last one first.
    standing: list[str]


def preview(
    verb: Verb, saga: Saga, details: Details = NO_DETAILS, *, actor: Actor = None
) -> Preview:
    """Return what the verb would do, without doing it. Raises IllegalVerb and InvalidOrder."""
    _check_details(verb, details)
    ordered, remark, _ = _prepare(verb, saga, actor, details)
    definition, state = state_of(saga)
    calls = plan(
        definition, state, verb, step=ordered.step, steps=ordered.steps, target=ordered.target
    )
    names = [definition.steps[index].name for index in standing(state)]
    return Preview(calls, remark.get("changes", []), names)


def _step(
    verb: Verb, saga: Saga, definition: Definition, state: SagaState, name: str
) -> int | None:
    # Compensating takes any number of them (`_chosen`).
    if verb not in TAKE_STEPS or verb == Verb.COMPENSATE or not name:
        return None
    return _place(verb, saga, definition, steps_of(verb, definition, state), name)


def _place(
    verb: Verb, saga: Saga, definition: Definition, allowed: tuple[int, ...], name: str
) -> int:
    places = {definition.steps[index].name: index for index in allowed}
    if name not in places:
        names = ", ".join(places) or "none"
        text = f"{verb.value} cannot be given for step {name!r}; it can for: {names}."
        raise IllegalVerb(saga.pk, verb.value, text)
    return places[name]


def _chosen(
    saga: Saga, definition: Definition, state: SagaState, names: tuple[str, ...]
) -> tuple[int, ...]:
    if not names or len(set(names)) != len(names):
        raise InvalidOrder("steps must name at least one step, and each only once.")
    allowed = steps_to_compensate(definition, state)
    return tuple(_place(Verb.COMPENSATE, saga, definition, allowed, name) for name in names)


def _check_edit(saga: Saga, state: SagaState, edited: Any) -> list[dict[str, Any]]:
    """Return what the new input changes. Raises IllegalVerb or InvalidOrder."""
    refusal = why_not_edit(state)
    if refusal is not None:
        raise IllegalVerb(saga.pk, Verb.RETRY, refusal)
    if len(state.editions) >= MAX_EDITIONS:
        text = f"Its input has been edited {MAX_EDITIONS} times; start a new saga instead."
        raise IllegalVerb(saga.pk, Verb.RETRY, text)
    try:
        encode_storable(edited, limit=settings.SAGAS_MAX_INPUT_BYTES)
    except NotStorableError as error:
        raise InvalidOrder(f"The input {error}.") from error
    changes = changes_between(input_of(state, saga.start.input), edited)
    if not changes:
        raise InvalidOrder("The new input is the old one; retry without it.")
    return changes


def _storable(output: Any) -> Any:
    try:
        encode_storable(output, limit=settings.SAGAS_MAX_OUTPUT_BYTES)
    except NotStorableError as error:
        raise InvalidOrder(f"The output {error}.") from error
    return output


def _target(
    saga: Saga, definition: Definition, state: SagaState, version: int
) -> tuple[StoredDefinition, Definition]:
    try:
        row = catalogue.find_definition(definition.name, version)
    except DefinitionNotFound as error:
        raise InvalidOrder(str(error)) from error
    target = catalogue.compiled({row.pk})[row.pk]
    refusal = why_not_move(definition, state, target)
    if refusal is not None:
        raise IllegalVerb(saga.pk, Verb.MOVE, refusal)
    return row, target


def may_decide(definition: Definition, step: int | None, actor: Actor) -> bool:
    """Say whether somebody is in the group that the step names. The command line is trusted."""
    group = definition.steps[step or 0].approvers
    if not group or not isinstance(actor, AbstractUser) or actor.is_superuser:
        return True
    return actor.groups.filter(name=group).exists()


def _log_text(order: Order, details: Details) -> str:
    told = [details.step or ", ".join(details.steps or ()), details.evidence]
    if details.version is not None:
        told.append(f"v{details.version}")
    told = [text for text in told if text]
    return f"{order.reason} [{': '.join(told)}]" if told else order.reason
