"""What a saga type is: its steps, who performs them, and how each is retried and undone.

These are values. Both formats (YAML, Python class) are read into them, and `to_spec` /
`from_spec` turn them into the JSON that is stored and back.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple


class Kind(StrEnum):
    """What a failure after this step may still do."""

    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"


class OnFailure(StrEnum):
    COMPENSATE = "compensate"
    PARK = "park"


class OnUnknown(StrEnum):
    """What to do when a call was sent and its outcome is not known."""

    RETRY = "retry"
    # Ask the participant whether it took effect (`Step.probe`).
    PROBE = "probe"
    COMPENSATE = "compensate"
    PARK = "park"


class StepType(StrEnum):
    """What a step does."""

    # Calls a participant.
    ACTION = "action"
    # Starts another saga and waits for its end; its undo compensates that saga.
    SAGA = "saga"
    # Waits for a time, for a signal, or for a person's decision.
    TIMER = "timer"
    SIGNAL = "signal"
    APPROVAL = "approval"


# These wait without having done anything anywhere: there is nothing to undo.
WAITS = frozenset({StepType.TIMER, StepType.SIGNAL, StepType.APPROVAL})


class OnTimeout(StrEnum):
    """What it means that a signal or a decision did not come in time."""

    FAIL = "fail"
    CONTINUE = "continue"


class OnLocked(StrEnum):
    """What a saga does when another one holds a lock that it wants."""

    WAIT = "wait"
    REFUSE = "refuse"


class RetryPolicy(NamedTuple):
    """How often and how fast one direction of one step is tried; durations in seconds."""

    attempts: int = 1
    initial_s: float = 1.0
    factor: float = 2.0
    cap_s: float = 60.0
    total_s: float = 300.0
    jitter: bool = True

    def delay_s(self, attempt: int) -> float:
        """Return the pause after the given failed attempt (counted from 1).

        Exponential back-off with "equal jitter": half of the delay is fixed, half random, so
        that a retry never comes at once and a crowd of sagas does not come back together.
        """
        delay = min(self.cap_s, self.initial_s * self.factor ** (attempt - 1))
        return delay * (0.5 + random.random() / 2) if self.jitter else delay


NO_RETRY = RetryPolicy(attempts=1)
# An undo must get through if it can at all: five attempts over about half a minute.
DEFAULT_UNDO_RETRY = RetryPolicy(attempts=5)


# One JMESPath expression, or one for each field of what it makes.
Mapping = str | dict[str, str]


class Step(NamedTuple):
    """One unit of a definition. `compensation` is None where nothing has to be undone.

    Expressions are JMESPath over {"input", "outputs": {step: output}, "saga": {"id",
    "business_key"}}; in a name of a lock they stand in braces: "order:{input.orderId}".
    """

    name: str
    # The service; the name of the definition that a step of type saga starts; else empty.
    participant: str
    action: str
    compensation: str | None = None
    timeout_s: float = 30.0
    retry: RetryPolicy = NO_RETRY
    undo_retry: RetryPolicy = DEFAULT_UNDO_RETRY
    kind: Kind = Kind.COMPENSATABLE
    on_unknown: OnUnknown = OnUnknown.RETRY
    type: StepType = StepType.ACTION
    # The steps that must be done before this one, by place; None: the one before it.
    after: tuple[int, ...] | None = None
    # It is skipped unless this holds.
    when: str = ""
    # What the participant gets instead of the saga's input, and what is kept of its answer.
    input: Mapping | None = None
    output: Mapping | None = None
    # The action that tells whether an earlier call took effect.
    probe: str = ""
    # Classes of errors that are not worth a retry.
    non_retryable: tuple[str, ...] = ()
    # A timer's duration, or when it ends: an expression that gives RFC 3339 or Unix seconds.
    wait_s: float | None = None
    until: str = ""
    signal: str = ""
    # The group whose members may decide; empty: whoever has the permission.
    approvers: str = ""
    # How long a signal, a decision or another saga is waited for; None: for ever.
    within_s: float | None = None
    on_timeout: OnTimeout = OnTimeout.FAIL
    # Taken before the step begins, held until the saga has ended.
    locks: tuple[str, ...] = ()


class Scenario(NamedTuple):
    """A failure the author foresaw: the compensations that must run, in this order.

    `step` is the step that fails where the scenario's name tells it, else None; the words of
    an entry in brackets, such as `(none, ...)`, are kept as `notes`.
    """

    name: str
    step: str | None
    compensations: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Definition(NamedTuple):
    """A saga type. `version` is 0 until the definition has been stored."""

    name: str
    steps: tuple[Step, ...]
    version: int = 0
    on_failure: OnFailure = OnFailure.COMPENSATE
    timeout_s: float | None = None
    type: str = "orchestration"
    orchestrator: str = ""
    description: str = ""
    scenarios: tuple[Scenario, ...] = ()
    invariants: tuple[str, ...] = ()
    # Names and expressions over the input by which sagas can be found.
    search: tuple[tuple[str, str], ...] = ()
    # Higher ones are driven first.
    priority: int = 0
    # Taken before the first step, held until the saga has ended.
    locks: tuple[str, ...] = ()
    on_locked: OnLocked = OnLocked.WAIT

    @property
    def takes_locks(self) -> bool:
        return bool(self.locks) or any(step.locks for step in self.steps)

    def index_of(self, step_name: str) -> int:
        """Return the place of a step. Raises KeyError for a name that is none."""
        for index, step in enumerate(self.steps):
            if step.name == step_name:
                return index
        raise KeyError(step_name)


def to_spec(definition: Definition) -> dict[str, Any]:
    """Return the definition as JSON data, without its version.

    Two definitions that mean the same give the same data, whatever they were written in. Fields
    that say nothing are left out, so a new one changes no definition that does without it.
    """
    spec = _without_defaults(definition)
    spec.pop("version", None)
    spec["steps"] = [_step_to_spec(step) for step in definition.steps]
    spec["scenarios"] = [
        scenario._asdict()
        | {"compensations": list(scenario.compensations), "notes": list(scenario.notes)}
        for scenario in definition.scenarios
    ]
    for name in ("invariants", "search", "locks"):
        if name in spec:
            spec[name] = [list(item) if isinstance(item, tuple) else item for item in spec[name]]
    return spec


def _step_to_spec(step: Step) -> dict[str, Any]:
    spec = _without_defaults(step)
    for policy in ("retry", "undo_retry"):
        if policy in spec:
            spec[policy] = spec[policy]._asdict()
    for name in ("after", "non_retryable", "locks"):
        if name in spec:
            spec[name] = list(spec[name])
    return spec


def _without_defaults(value: Definition | Step) -> dict[str, Any]:
    """Return the fields that differ from their default."""
    defaults = value._field_defaults
    return {
        name: field
        for name, field in value._asdict().items()
        if name not in defaults or field != defaults[name]
    }


_STEP_READERS: dict[str, Callable[[Any], Any]] = {
    "retry": lambda data: RetryPolicy(**data),
    "undo_retry": lambda data: RetryPolicy(**data),
    "kind": Kind,
    "on_unknown": OnUnknown,
    "type": StepType,
    "on_timeout": OnTimeout,
    "after": tuple,
    "non_retryable": tuple,
    "locks": tuple,
}


def _read_scenario(data: dict[str, Any]) -> Scenario:
    compensations, notes = tuple(data["compensations"]), tuple(data["notes"])
    return Scenario(data["name"], data["step"], compensations, notes)


_READERS: dict[str, Callable[[Any], Any]] = {
    "steps": lambda steps: tuple(Step(**_read(step, _STEP_READERS)) for step in steps),
    "scenarios": lambda scenarios: tuple(map(_read_scenario, scenarios)),
    "invariants": tuple,
    "search": lambda pairs: tuple(map(tuple, pairs)),
    "locks": tuple,
    "on_failure": OnFailure,
    "on_locked": OnLocked,
}


def from_spec(spec: dict[str, Any], *, version: int) -> Definition:
    """Return the definition that `to_spec` gave as `spec`.

    Raises TypeError or ValueError for what a later release has written and this one cannot read.
    """
    return Definition(version=version, **_read(spec, _READERS))


def _read(data: dict[str, Any], readers: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    return {
        name: readers[name](value) if name in readers else value for name, value in data.items()
    }
