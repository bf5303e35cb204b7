"""What each single field of a definition may hold."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from sagas.core.definition import WAITS, Definition, RetryPolicy, Step, StepType
from sagas.definitions.durations import LONGEST_S, format_duration
from sagas.definitions.exceptions import Fault, Path
from sagas.definitions.wording import quoted

LONGEST_NAME = 100
MOST_STEPS = 100
MOST_SCENARIOS = 200
MOST_ATTEMPTS = 1000
LARGEST_FACTOR = 100
LATEST_VERSION = 2**31 - 1
LONGEST_LOCK = 200
# The longest name that a group of Django has.
LONGEST_GROUP = 150
MOST_LOCKS = 20
MOST_ATTRIBUTES = 20
MOST_ERRORS = 50
PRIORITIES = (-100, 100)

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME_PATTERN = re.compile(_NAME)
# An action is the end of its participant's address, so it may have several parts.
_ACTION_PATTERN = re.compile(rf"{_NAME}(?:/{_NAME})*")
_FORBIDDEN_IN_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
# PostgreSQL's text has no place for NUL and lone surrogates, a page none for the others.
_FORBIDDEN_IN_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def check_names(definition: Definition) -> Iterator[Fault]:
    """Report names that are empty, too long, or not safe in an address or a header."""
    yield from _check_name(("name",), definition.name)
    if definition.orchestrator:
        yield from _check_name(("orchestrator",), definition.orchestrator)
    for index, step in enumerate(definition.steps):
        yield from _check_names_of_step(("steps", index), step)
    for name, _ in definition.search:
        yield from _check_name(("search", name), name)


def _check_names_of_step(path: Path, step: Step) -> Iterator[Fault]:
    yield from _check_name((*path, "name"), step.name)
    if step.type not in WAITS:
        yield from _check_name((*path, "participant"), step.participant)
    if step.type == StepType.ACTION:
        yield from _check_name((*path, "action"), step.action, _ACTION_PATTERN)
    if step.type == StepType.SIGNAL:
        yield from _check_name((*path, "signal"), step.signal)
    if step.compensation is not None:
        yield from _check_name((*path, "compensation"), step.compensation, _ACTION_PATTERN)
    if step.probe:
        yield from _check_name((*path, "probe"), step.probe, _ACTION_PATTERN)
    for number, name in enumerate(step.non_retryable):
        yield from _check_name((*path, "non_retryable", number), name)


def _check_name(path: Path, name: str, pattern: re.Pattern[str] = _NAME_PATTERN) -> Iterator[Fault]:
    if not name:
        yield path, "is empty; give it a name"
    elif len(name) > LONGEST_NAME:
        yield path, f"has {len(name)} characters; a name may have at most {LONGEST_NAME}"
    elif not pattern.fullmatch(name):
        better = _FORBIDDEN_IN_NAME.sub("", name).lstrip(".-")
        example = f"; write for example {better}" if better else ""
        yield (
            path,
            f"{quoted(name)} is no name: it begins with a letter or digit of ASCII and has "
            f"only letters, digits, _ . and -{example}",
        )


def check_texts(definition: Definition) -> Iterator[Fault]:
    """Report characters that cannot be stored, in everything written for people."""
    yield from _check_text(("description",), definition.description)
    for index, invariant in enumerate(definition.invariants):
        yield from _check_text(("invariants", index), invariant)
    for index, scenario in enumerate(definition.scenarios):
        path = ("scenarios", index)
        yield from _check_text((*path, "name"), scenario.name)
        if not 1 <= len(scenario.name) <= LONGEST_NAME:
            yield (*path, "name"), f"must have 1 to {LONGEST_NAME} characters"
        for note in scenario.notes:
            yield from _check_text((*path, "compensations"), note)
    yield from _check_locks(("locks",), definition.locks)
    for index, step in enumerate(definition.steps):
        yield from _check_locks(("steps", index, "locks"), step.locks)
        yield from _check_text(("steps", index, "approvers"), step.approvers)
        if len(step.approvers) > LONGEST_GROUP:
            length = len(step.approvers)
            message = f"has {length} characters; a group's name has at most {LONGEST_GROUP}"
            yield ("steps", index, "approvers"), message


def _check_locks(path: Path, locks: tuple[str, ...]) -> Iterator[Fault]:
    for number, lock in enumerate(locks):
        yield from _check_text((*path, number), lock)
        if not 1 <= len(lock) <= LONGEST_LOCK:
            yield (*path, number), f"must have 1 to {LONGEST_LOCK} characters"


def _check_text(path: Path, text: str) -> Iterator[Fault]:
    if match := _FORBIDDEN_IN_TEXT.search(text):
        yield path, f"has the control character {quoted(match[0])}; remove it"


def check_numbers(definition: Definition) -> Iterator[Fault]:
    """Report numbers out of range: version, how many steps and scenarios, timeouts, retries."""
    if not 0 <= definition.version <= LATEST_VERSION:
        yield ("version",), f"is {definition.version}; versions count from 1"
    if not definition.steps:
        yield ("steps",), "has no steps; a saga needs at least one"
    yield from _check_many(("steps",), len(definition.steps), "steps", MOST_STEPS)
    count = len(definition.scenarios)
    yield from _check_many(("scenarios",), count, "scenarios", MOST_SCENARIOS)
    if not PRIORITIES[0] <= definition.priority <= PRIORITIES[1]:
        lowest, highest = PRIORITIES
        yield ("priority",), f"is {definition.priority}; it must be {lowest} to {highest}"
    yield from _check_many(("search",), len(definition.search), "attributes", MOST_ATTRIBUTES)
    yield from _check_many(("locks",), len(definition.locks), "locks", MOST_LOCKS)
    yield from _check_timeout(("timeout_s",), definition.timeout_s)
    for index, step in enumerate(definition.steps):
        path = ("steps", index)
        for name in ("timeout_s", "wait_s", "within_s"):
            yield from _check_timeout((*path, name), getattr(step, name))
        yield from _check_many((*path, "locks"), len(step.locks), "locks", MOST_LOCKS)
        errors = len(step.non_retryable)
        yield from _check_many((*path, "non_retryable"), errors, "classes", MOST_ERRORS)
        for name, policy in (("retry", step.retry), ("undo_retry", step.undo_retry)):
            if message := _wrong_with(policy):
                yield ("steps", index, name), message


def _check_many(path: Path, count: int, what: str, most: int) -> Iterator[Fault]:
    if count > most:
        yield path, f"has {count} {what}; the most is {most}"


def _check_timeout(path: Path, seconds: float | None) -> Iterator[Fault]:
    if seconds is not None and not 0 < seconds <= LONGEST_S:
        yield path, f"is {seconds:g} seconds; it must be more than 0 and at most 365d"


def _wrong_with(policy: RetryPolicy) -> str:
    """Return what is wrong with a policy, or nothing."""
    if not 1 <= policy.attempts <= MOST_ATTEMPTS:
        return f"has {policy.attempts} attempts; it must have 1 to {MOST_ATTEMPTS}"
    if not 1 <= policy.factor <= LARGEST_FACTOR:
        return f"has a factor of {policy.factor:g}; it must be 1 to {LARGEST_FACTOR}"
    # A float ends at 1e308, and the pause after the last attempt is computed before its cap.
    if (policy.attempts - 1) * math.log10(policy.factor) >= 308:
        return f"grows too far with a factor of {policy.factor:g}; lower it, or the attempts"
    if not 0 <= policy.initial_s <= LONGEST_S:
        return f"has a first pause of {policy.initial_s:g} seconds; it must be 0 to 365d"
    if not policy.initial_s <= policy.cap_s <= LONGEST_S:
        return (
            f"has a cap of {format_duration(policy.cap_s)} and a first pause of "
            f"{format_duration(policy.initial_s)}; the cap must be the longer one"
        )
    if not 0 < policy.total_s <= LONGEST_S:
        return f"has a total of {policy.total_s:g} seconds; it must be more than 0, at most 365d"
    return ""
