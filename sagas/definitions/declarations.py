"""The parts of a saga written in Python: steps, groups of them, scenarios, retry policies."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Literal

from sagas.core.definition import Kind, OnTimeout, OnUnknown, RetryPolicy, StepType
from sagas.definitions import policies
from sagas.definitions.conversions import to_seconds
from sagas.definitions.exceptions import DefinitionError, Place

Action = Callable[..., Any]
Duration = str | timedelta
ErrorName = str | type[BaseException]
# One JMESPath expression, or one for each field.
Expressions = str | Mapping[str, str]


class NotGiven(Enum):
    """Tells a compensation that nobody wrote from `None`, which says that there is none."""

    NOT_GIVEN = "not given"


NOT_GIVEN: Literal[NotGiven.NOT_GIVEN] = NotGiven.NOT_GIVEN


@dataclass(frozen=True, kw_only=True, eq=False)
class DeclaredStep:
    """A step as its author wrote it; the class it belongs to reads it."""

    name: str | None
    place: Place
    after: After = None
    when: str = ""
    locks: Sequence[str] = ()
    type: StepType = StepType.ACTION
    action: str | Action = ""
    service: str | None = None
    compensation: str | Action | NotGiven | None = None
    timeout: Duration | None = None
    retry: RetryPolicy | str = "none"
    undo_retry: RetryPolicy | str | None = None
    kind: Kind | str = Kind.COMPENSATABLE
    on_unknown: OnUnknown | str = OnUnknown.RETRY
    probe: str | Action | None = None
    non_retryable: Sequence[ErrorName] = ()
    input: Expressions | None = None
    output: Expressions | None = None
    # The name of the definition that a step starts, or its class.
    saga: Any = None
    wait: Duration | None = None
    until: str = ""
    signal: str = ""
    by: str = ""
    on_timeout: OnTimeout | str = OnTimeout.FAIL


@dataclass(frozen=True, kw_only=True, eq=False)
class DeclaredGroup:
    """Branches that run side by side."""

    branches: Sequence[Branch]
    place: Place


# A branch is a step, a group, or several of them one after the other.
Branch = DeclaredStep | DeclaredGroup | Sequence[DeclaredStep | DeclaredGroup]
# The steps that must be done before, or their names; None: the one written before.
After = Sequence[DeclaredStep | str] | None


@dataclass(frozen=True, kw_only=True)
class DeclaredScenario:
    """A failure scenario as its author wrote it."""

    name: str
    compensations: Sequence[str | Action]
    step: str | None
    place: Place


def step(
    name: str | None = None,
    *,
    action: str | Action,
    service: str | None = None,
    compensation: str | Action | NotGiven | None = NOT_GIVEN,
    timeout: Duration = "30s",
    retry: RetryPolicy | str = "none",
    undo_retry: RetryPolicy | str | None = None,
    kind: Kind | str = Kind.COMPENSATABLE,
    on_unknown: OnUnknown | str = OnUnknown.RETRY,
    probe: str | Action | None = None,
    non_retryable: Sequence[ErrorName] = (),
    input: Expressions | None = None,
    output: Expressions | None = None,
    when: str = "",
    locks: Sequence[str] = (),
    after: After = None,
) -> DeclaredStep:
    """Declare a step of a `Saga` class; without a name it has that of its attribute.

    Action, compensation and probe are the names under which `service` knows them, or Python
    callables, whose service is then by default the class itself. `compensation=None` says that
    there is nothing to undo. Durations are texts such as "10s", or timedeltas; `input`, `output`
    and `when` are JMESPath expressions.
    """
    return DeclaredStep(
        name=name,
        action=action,
        service=service,
        compensation=compensation,
        timeout=timeout,
        retry=retry,
        undo_retry=undo_retry,
        kind=kind,
        on_unknown=on_unknown,
        probe=probe,
        non_retryable=non_retryable,
        input=input,
        output=output,
        when=when,
        locks=locks,
        after=after,
        place=caller(),
    )


def sub_saga(
    name: str | None = None,
    *,
    saga: Any,
    input: Expressions | None = None,
    timeout: Duration | None = None,
    compensation: NotGiven | None = NOT_GIVEN,
    kind: Kind | str = Kind.COMPENSATABLE,
    when: str = "",
    locks: Sequence[str] = (),
    after: After = None,
) -> DeclaredStep:
    """Declare a step that starts another saga, by name or class, and waits for its end.

    To undo it is to compensate that saga, unless `compensation=None` denies it.
    """
    return DeclaredStep(
        name=name,
        type=StepType.SAGA,
        saga=saga,
        input=input,
        timeout=timeout,
        compensation=compensation,
        kind=kind,
        when=when,
        locks=locks,
        after=after,
        place=caller(),
    )


def timer(
    name: str | None = None,
    *,
    wait: Duration | None = None,
    until: str = "",
    when: str = "",
    locks: Sequence[str] = (),
    after: After = None,
) -> DeclaredStep:
    """Declare a step that waits: for some time, or until the time that an expression gives."""
    return DeclaredStep(
        name=name,
        type=StepType.TIMER,
        wait=wait,
        until=until,
        when=when,
        locks=locks,
        after=after,
        place=caller(),
    )


def signal(
    name: str | None = None,
    *,
    signal: str,
    timeout: Duration | None = None,
    on_timeout: OnTimeout | str = OnTimeout.FAIL,
    when: str = "",
    locks: Sequence[str] = (),
    after: After = None,
) -> DeclaredStep:
    """Declare a step that waits for a signal, without a timeout for ever."""
    return DeclaredStep(
        name=name,
        type=StepType.SIGNAL,
        signal=signal,
        timeout=timeout,
        on_timeout=on_timeout,
        when=when,
        locks=locks,
        after=after,
        place=caller(),
    )


def approval(
    name: str | None = None,
    *,
    by: str = "",
    timeout: Duration | None = None,
    on_timeout: OnTimeout | str = OnTimeout.FAIL,
    when: str = "",
    locks: Sequence[str] = (),
    after: After = None,
) -> DeclaredStep:
    """Declare a step that waits for a person's decision: a member of the group `by`, if given."""
    return DeclaredStep(
        name=name,
        type=StepType.APPROVAL,
        by=by,
        timeout=timeout,
        on_timeout=on_timeout,
        when=when,
        locks=locks,
        after=after,
        place=caller(),
    )


def parallel(*branches: Branch) -> DeclaredGroup:
    """Declare branches that run side by side, at the place where this stands.

    A branch is a step, or a list of steps that run one after the other. Steps may be attributes
    of the class, which then run here and not where they stand, or be written here with a name.
    """
    return DeclaredGroup(branches=branches, place=caller())


def scenario(
    name: str, compensations: Sequence[str | Action] = (), *, step: str | None = None
) -> DeclaredScenario:
    """Declare a failure and the compensations that must then run, in this order.

    Words in brackets are notes, as in YAML. Without `step` the name tells which step fails.
    """
    return DeclaredScenario(name=name, compensations=compensations, step=step, place=caller())


def fixed(
    attempts: int, delay: Duration, *, total: Duration | None = None, jitter: bool = False
) -> RetryPolicy:
    """Return a policy with the same pause after every attempt. Raises DefinitionError."""
    place = caller()
    return policies.fixed(
        attempts,
        _seconds(place, "delay", delay),
        None if total is None else _seconds(place, "total", total),
        jitter,
    )


def exponential_backoff(
    attempts: int,
    initial: Duration = "1s",
    factor: float = 2.0,
    cap: Duration | None = None,
    *,
    total: Duration = "5m",
    jitter: bool = True,
) -> RetryPolicy:
    """Return a policy whose pauses grow by `factor` up to `cap`. Raises DefinitionError."""
    place = caller()
    return policies.exponential(
        attempts,
        _seconds(place, "initial", initial),
        factor,
        None if cap is None else _seconds(place, "cap", cap),
        _seconds(place, "total", total),
        jitter,
    )


def caller() -> Place:
    """Return the file and line that called the function that asks."""
    frame = inspect.currentframe()
    asking = frame.f_back if frame else None
    calling = asking.f_back if asking else None
    return Place(calling.f_code.co_filename, calling.f_lineno) if calling else Place("Python")


def _seconds(place: Place, argument: str, duration: Duration) -> float:
    try:
        return to_seconds(duration)
    except ValueError as error:
        raise DefinitionError.at(place._replace(field=argument), str(error)) from None
