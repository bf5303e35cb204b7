"""What a happening means for a saga: the entries that have to be written to its journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagas.core import happenings as h
from sagas.core.children import child_ended
from sagas.core.consequences import consequence
from sagas.core.definition import Definition, Mapping, OnFailure, OnTimeout, Step
from sagas.core.evolving import evolve, fold
from sagas.core.expressions import ExpressionError
from sagas.core.journal import Entry, Kind
from sagas.core.mapping import apply
from sagas.core.moves import TO_BE_DONE
from sagas.core.orders import entries_of
from sagas.core.retrying import after_probe_at, next_attempt_at
from sagas.core.state import (
    IDLE_WAITS,
    Direction,
    SagaState,
    SagaStatus,
    StepState,
    StepStatus,
    WaitsFor,
)
from sagas.core.undo import pivot_passed, undo_set

# A tuple: a union would be built anew at every question.
_RESULTS = (h.Succeeded, h.Failed, h.Unknown, h.Accepted, h.Waiting)
_IN_HAND = frozenset({StepStatus.RUNNING, StepStatus.WAITING})
_FORWARD_KINDS = (Kind.STEP_SUCCEEDED, Kind.STEP_FAILED, Kind.STEP_UNKNOWN, Kind.STEP_WAITING)
_BACKWARD_KINDS = (Kind.UNDO_SUCCEEDED, Kind.UNDO_FAILED, Kind.UNDO_UNKNOWN, Kind.UNDO_WAITING)


def decide(definition: Definition, state: SagaState, happening: h.Happening) -> list[Entry]:
    """Return the entries that the happening calls for, its consequences included."""
    return advance(definition, state, happening)[0]


def advance(
    definition: Definition, state: SagaState, happening: h.Happening
) -> tuple[list[Entry], SagaState]:
    """Return the entries that the happening calls for, and the state after them."""
    entries = _meaning(definition, state, happening)
    state = fold(state, entries)
    if isinstance(happening, h.Ordered) and happening.target is not None:
        definition = happening.target
    while (entry := consequence(definition, state, happening.at)) is not None:
        entries.append(entry)
        state = evolve(state, entry)
    return entries, state


def _meaning(definition: Definition, state: SagaState, happening: h.Happening) -> list[Entry]:
    if isinstance(happening, _RESULTS):
        return [_result(definition, state, happening)]
    if isinstance(happening, h.Sent):
        kind = Kind.STEP_SENT if happening.direction == Direction.FORWARD else Kind.UNDO_SENT
        return [Entry(kind, happening.at, happening.step, {"attempt": happening.attempt})]
    if isinstance(happening, h.Started):
        data: dict[str, Any] = {}
        if definition.timeout_s:
            data["timeout_s"] = definition.timeout_s
        if happening.parent is not None:
            data["parent"] = happening.parent
        if happening.starts_at is None:
            return [Entry(Kind.SAGA_STARTED, happening.at, None, data)]
        data["starts_at"] = happening.starts_at
        return [Entry(Kind.SAGA_SCHEDULED, happening.at, None, data)]
    return _OTHERS[type(happening)](definition, state, happening)


def is_expected(state: SagaState, result: h.Result) -> bool:
    """Say whether this attempt is the one whose result the saga waits for; else it is late."""
    step = state.steps[result.step]
    if result.direction == Direction.BACKWARD:
        if state.status != SagaStatus.COMPENSATING:
            return False
        if step.sent or step.status == StepStatus.COMPENSATING:
            return result.attempt == step.undo_attempt or (
                not step.sent and result.attempt == step.undo_attempt + 1
            )
        return result.attempt == step.undo_attempt + 1 and result.step in undo_set(state)
    if step.status in _IN_HAND:
        return result.attempt == step.attempt
    return (
        state.status == SagaStatus.RUNNING
        and step.status in TO_BE_DONE
        and result.attempt == step.attempt + 1
    )


def _result(definition: Definition, state: SagaState, result: h.Result) -> Entry:
    if not is_expected(state, result):
        return _late(result)
    step = definition.steps[result.step]
    if step.output is not None and isinstance(result, h.Succeeded):
        result = _mapped(step.output, result)
    kinds = _FORWARD_KINDS if result.direction == Direction.FORWARD else _BACKWARD_KINDS
    succeeded, failed, unknown, waiting = kinds
    data: dict[str, Any] = {"attempt": result.attempt}
    if isinstance(result, h.Succeeded):
        if result.output is not None:
            data["output"] = result.output
        return Entry(succeeded, result.at, result.step, data)
    if isinstance(result, h.Accepted):
        data["wake_at"] = result.at + step.timeout_s
        return Entry(waiting, result.at, result.step, data)
    if isinstance(result, h.Waiting):
        data |= {"wake_at": result.wake_at, "for": result.waits_for}
        if result.child:
            data["child"] = result.child
        return Entry(waiting, result.at, result.step, data)
    data["error"] = result.error
    data["wake_at"] = next_attempt_at(definition, state, result)
    if isinstance(result, h.Unknown):
        return Entry(unknown, result.at, result.step, data)
    # Only a definite answer settles the doubt that an earlier attempt left.
    doubt = state.steps[result.step].in_doubt and result.error.get("retryable", True)
    if result.in_doubt or doubt:
        data["in_doubt"] = True
    return Entry(failed, result.at, result.step, data)


def _mapped(mapping: Mapping, result: h.Succeeded) -> h.Succeeded | h.Failed:
    """Keep of an answer what the definition wants of it."""
    if result.direction == Direction.BACKWARD:
        return result
    try:
        return result._replace(output=apply(mapping, result.output))
    except ExpressionError as problem:
        # It did what it was asked for; only its answer is not what was expected.
        error = {"class": "InvalidAnswer", "message": str(problem), "retryable": False}
        where = (result.step, result.direction, result.attempt)
        return h.Failed(result.at, *where, error, in_doubt=True)


def _late(result: h.Result) -> Entry:
    data: dict[str, Any] = {
        "direction": result.direction,
        "attempt": result.attempt,
        "outcome": type(result).__name__.lower(),
    }
    if isinstance(result, h.Succeeded):
        data["output"] = result.output
    elif not isinstance(result, h.Accepted | h.Waiting):
        data["error"] = result.error
    return Entry(Kind.LATE_REPLY, result.at, result.step, data)


def _start_due(definition: Definition, state: SagaState, happening: h.StartDue) -> list[Entry]:
    return [Entry(Kind.SAGA_STARTED, happening.at)]


def _lease_lost(definition: Definition, state: SagaState, happening: h.LeaseLost) -> list[Entry]:
    error = {
        "class": "WorkerLost",
        "message": "The worker that sent this call is gone; nobody knows its outcome.",
        "retryable": True,
    }
    return [
        _result(definition, state, _unknown(index, step, happening.at, error))
        for index, step in enumerate(state.steps)
        if step.sent
    ]


def _reply_overdue(
    definition: Definition, state: SagaState, happening: h.ReplyOverdue
) -> list[Entry]:
    at, index = happening
    step, step_state = definition.steps[index], state.steps[index]
    if step_state.status == StepStatus.WAITING and step_state.waits_for in IDLE_WAITS:
        return [_wait_over(step, step_state, happening)]
    message = f"No reply came within {step.timeout_s:g} s."
    if step_state.waits_for == WaitsFor.SAGA:
        message = f"The saga that it had started did not end within {step.within_s:g} s."
    error = {"class": "ReplyTimeout", "message": message, "retryable": True}
    unknown = _result(definition, state, _unknown(index, step_state, at, error))
    if step_state.waits_for == WaitsFor.SAGA:
        # It is not started a second time; it is told to stop.
        unknown = unknown._replace(data=unknown.data | {"wake_at": None})
    return [unknown]


def _wait_over(step: Step, step_state: StepState, happening: h.ReplyOverdue) -> Entry:
    """Return what it means that a wait has come to the end of its time."""
    data: dict[str, Any] = {"attempt": step_state.attempt}
    if step_state.waits_for == WaitsFor.TIME:
        return Entry(Kind.STEP_SUCCEEDED, happening.at, happening.step, data)
    if step.on_timeout == OnTimeout.CONTINUE:
        data["timed_out"] = True
        return Entry(Kind.STEP_SUCCEEDED, happening.at, happening.step, data)
    awaited = {
        WaitsFor.SIGNAL: f"The signal {step.signal} did not come within {step.within_s:g} s.",
        WaitsFor.APPROVAL: f"Nobody decided within {step.within_s:g} s.",
    }
    data["error"] = {
        "class": "WaitTimeout",
        "message": awaited[step_state.waits_for],
        "retryable": False,
    }
    data["wake_at"] = None
    return Entry(Kind.STEP_FAILED, happening.at, happening.step, data)


def _skipped(definition: Definition, state: SagaState, happening: h.Skipped) -> list[Entry]:
    data = {"when": definition.steps[happening.step].when}
    return [Entry(Kind.STEP_SKIPPED, happening.at, happening.step, data)]


def _blocked(definition: Definition, state: SagaState, happening: h.Blocked) -> list[Entry]:
    data = {"lock": happening.lock, "holder": happening.holder}
    known = state.steps[happening.step].blocked
    if known is not None and all(known[name] == value for name, value in data.items()):
        return []
    return [Entry(Kind.LOCK_AWAITED, happening.at, happening.step, data)]


def _lock_released(
    definition: Definition, state: SagaState, released: h.LockReleased
) -> list[Entry]:
    data = {"actor": released.actor, "reason": released.reason, "lock": released.lock}
    return [Entry(Kind.LOCK_RELEASED, released.at, None, data)]


def _probed(definition: Definition, state: SagaState, probed: h.Probed) -> list[Entry]:
    step = state.steps[probed.step]
    if step.status != StepStatus.UNKNOWN or step.attempt != probed.attempt:
        # Decided otherwise meanwhile. It asked, it did nothing.
        return []
    data: dict[str, Any] = {"attempt": probed.attempt, "outcome": probed.outcome}
    if probed.output is not None:
        data["output"] = probed.output
    if probed.error:
        data["error"] = probed.error
    data["wake_at"] = None
    if probed.outcome != "succeeded":
        data["wake_at"] = after_probe_at(definition, state, probed)
    return [Entry(Kind.STEP_PROBED, probed.at, probed.step, data)]


def _signalled(definition: Definition, state: SagaState, signal: h.Signalled) -> list[Entry]:
    data: dict[str, Any] = {"name": signal.name, "data": signal.data}
    data |= {name: value for name in ("actor", "message_id") if (value := getattr(signal, name))}
    return [Entry(Kind.SIGNALLED, signal.at, None, data)]


def _unknown(index: int, step: StepState, at: float, error: dict[str, Any]) -> h.Unknown:
    if step.status == StepStatus.COMPENSATING:
        return h.Unknown(at, index, Direction.BACKWARD, step.undo_attempt, error)
    return h.Unknown(at, index, Direction.FORWARD, step.attempt, error)


def _deadline_passed(
    definition: Definition, state: SagaState, happening: h.DeadlinePassed
) -> list[Entry]:
    cause = {
        "step": "",
        "class": "SagaTimeout",
        "message": f"The saga did not end within its {definition.timeout_s:g} s.",
    }
    if pivot_passed(definition, state) or definition.on_failure == OnFailure.PARK:
        return [Entry(Kind.SAGA_FAILED, happening.at, None, {"cause": cause})]
    return [Entry(Kind.COMPENSATION_BEGAN, happening.at, None, {"cause": cause})]


_OTHERS: dict[type, Callable[[Definition, SagaState, Any], list[Entry]]] = {
    h.StartDue: _start_due,
    h.LeaseLost: _lease_lost,
    h.ReplyOverdue: _reply_overdue,
    h.DeadlinePassed: _deadline_passed,
    h.Skipped: _skipped,
    h.Blocked: _blocked,
    h.LockReleased: _lock_released,
    h.Probed: _probed,
    h.Signalled: _signalled,
    h.ChildEnded: child_ended,
    h.Ordered: entries_of,
}
