"""What one saga has come to: the snapshot that folding its journal gives.

As JSON (`to_json`, `from_json`) fields at their defaults are left out:

    {"status": "running", "steps": [{"status": "succeeded", "order": 1, "attempt": 1,
     "output": {...}}, {}, {}]}
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple


class SagaStatus(StrEnum):
    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    # Stopped; an operator must decide. Not an end.
    FAILED = "failed"
    ABANDONED = "abandoned"


MOVING = frozenset({SagaStatus.RUNNING, SagaStatus.COMPENSATING})
ENDED = frozenset({SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.ABANDONED})


class StepStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    # Accepted; the reply follows.
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"
    DONE_BY_HAND = "done_by_hand"
    NOT_NEEDED = "not_needed"


class Direction(StrEnum):
    FORWARD = "forward"
    BACKWARD = "backward"


class WaitsFor(StrEnum):
    """What a step in status WAITING, or an undo that was accepted, waits for."""

    REPLY = "reply"
    SAGA = "saga"
    TIME = "time"
    SIGNAL = "signal"
    APPROVAL = "approval"


# Waiting for these, a step has done nothing anywhere.
IDLE_WAITS = frozenset({WaitsFor.TIME, WaitsFor.SIGNAL, WaitsFor.APPROVAL})


class StepState(NamedTuple):
    """One step. Times are seconds since the epoch by the database's clock."""

    status: StepStatus = StepStatus.PENDING
    # The place in the order in which steps were started; 0: never started.
    order: int = 0
    # Attempts of the action, and of the undo, ever made.
    attempt: int = 0
    undo_attempt: int = 0
    output: Any = None
    # {"class", "message", "retryable", ...} of the last failed attempt.
    error: dict[str, Any] | None = None
    # A call has left and its answer is not recorded yet.
    sent: bool = False
    # Attempts of the present direction made before an operator last granted a new budget.
    spent_before: int = 0
    # When the present budget's first attempt failed.
    failing_since: float | None = None
    # Counts up when an operator retries after a definite "no": participants remember their
    # first answer under the old idempotency key.
    generation: int = 0
    undo_generation: int = 0
    # Some attempt may have taken effect although no success is known.
    in_doubt: bool = False
    # The participant took the undo; its reply follows. (Forwards that is the status WAITING.)
    accepted: bool = False
    # When to try again, or until when to wait for the reply.
    wake_at: float | None = None
    waits_for: WaitsFor = WaitsFor.REPLY
    # The saga that this step has started.
    child: str = ""
    # How often the participant was asked whether the last attempt took effect.
    probes: int = 0
    # Attempts before the step was begun anew: a late word of them changes nothing.
    settled: int = 0
    undo_settled: int = 0
    # With which input it was begun: 0 the saga's own, n the n-th that an operator has edited.
    edition: int = 0
    # Another saga holds a lock that it wants: {"lock", "holder", "since"}.
    blocked: dict[str, Any] | None = None


class SagaState(NamedTuple):
    """One saga. `version` is the number of the last entry folded into it."""

    status: SagaStatus = SagaStatus.RUNNING
    steps: tuple[StepState, ...] = ()
    version: int = 0
    paused_at: float | None = None
    # Compensation has begun; a failed saga goes on in this direction.
    backward: bool = False
    # An operator wants it undone as soon as the step in flight has answered.
    cancelling: bool = False
    # How long it may take from the first step on, and until when that is. A saga that waits in a
    # long queue for its first step has not begun.
    timeout_s: float | None = None
    deadline: float | None = None
    # Where and why it went wrong: {"step", "class", "message"}.
    cause: dict[str, Any] | None = None
    # The saga whose step has started this one: {"saga", "step"}.
    parent: dict[str, str] | None = None
    # The inputs that operators have put in the place of the first one; the last one counts.
    editions: tuple[Any, ...] = ()
    # Signals that no step has taken yet: (name, data), oldest first.
    signals: tuple[tuple[str, Any], ...] = ()
    # The steps that an operator wants undone, in this order; None: all of them.
    chosen: tuple[int, ...] | None = None
    # The steps that are begun anew once they are undone.
    rewinding: tuple[int, ...] | None = None
    # It was to start at this time, not at once; and whether it has yet to.
    starts_at: float | None = None
    scheduled: bool = False


# Shared by all steps that nothing has happened to yet.
UNTOUCHED = StepState()
# Fields that hardly ever hold anything are compared all at once.
_OFTEN = StepState._fields.index("spent_before")
_STEP_FIELDS = tuple(zip(StepState._fields, UNTOUCHED, strict=True))
_OFTEN_FIELDS, _SELDOM_FIELDS = _STEP_FIELDS[:_OFTEN], _STEP_FIELDS[_OFTEN:]
_SELDOM = UNTOUCHED[_OFTEN:]
_SAGA_FIELDS = tuple(SagaState._field_defaults.items())[3:]
_SAGA_DEFAULTS = SagaState()[3:]


def to_json(state: SagaState) -> dict[str, Any]:
    """Return the state as JSON data. The version is left out: it has a column of its own."""
    data: dict[str, Any] = {
        "status": state.status,
        "steps": [{} if step is UNTOUCHED else _step_to_json(step) for step in state.steps],
    }
    if (others := state[3:]) != _SAGA_DEFAULTS:
        data |= _unlike_default(_SAGA_FIELDS, others)
    return data


def _step_to_json(step: StepState) -> dict[str, Any]:
    data = _unlike_default(_OFTEN_FIELDS, step[:_OFTEN])
    if (others := step[_OFTEN:]) != _SELDOM:
        data |= _unlike_default(_SELDOM_FIELDS, others)
    return data


def _unlike_default(fields: tuple[tuple[str, Any], ...], values: tuple[Any, ...]) -> dict[str, Any]:
    return {
        name: value
        for (name, default), value in zip(fields, values, strict=True)
        if value is not default and value != default
    }


_READERS: dict[str, Callable[[Any], Any]] = {
    "editions": tuple,
    "signals": lambda signals: tuple((name, data) for name, data in signals),
    "chosen": tuple,
    "rewinding": tuple,
}


def from_json(data: dict[str, Any], *, version: int) -> SagaState:
    """Return the state that `to_json` gave as `data`."""
    fields = dict(data)
    status = SagaStatus(fields.pop("status"))
    steps = tuple(_step_from_json(step) for step in fields.pop("steps"))
    for name in fields.keys() & _READERS.keys():
        fields[name] = _READERS[name](fields[name])
    return SagaState(status, steps, version, **fields)


def _step_from_json(data: dict[str, Any]) -> StepState:
    if not data:
        return UNTOUCHED
    if "status" in data:
        data = data | {"status": StepStatus(data["status"])}
    if "waits_for" in data:
        data = data | {"waits_for": WaitsFor(data["waits_for"])}
    return StepState(**data)
