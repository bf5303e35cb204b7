"""What is played: each failure scenario, and every step in every kind of trouble."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from sagas.core.definition import (
    Definition,
    Kind,
    OnTimeout,
    RetryPolicy,
    Scenario,
    Step,
    StepType,
)
from sagas.core.state import Direction
from sagas.participants.calls import Call
from sagas.testing import (
    Answer,
    accept_then_reply,
    crash,
    fail,
    lose_answer,
    refuse,
    succeed,
)


class Trouble(StrEnum):
    """What happens to a step; the words say what was played."""

    NONE = "nothing goes wrong"
    REFUSED = "refused"
    FAILS = "fails before its effect, at every attempt"
    LOST = "done, but every answer is lost"
    LOST_ONCE = "done, the first answer is lost"
    REPEATED = "its reply comes twice"
    CRASH_BEFORE = "the worker crashes before its effect"
    CRASH_AFTER = "the worker crashes after its effect"
    # Of the compensations, after the step was refused.
    UNDO_REPEATED = "refused, and every undo is repeated"


DOUBTFUL = frozenset({Trouble.LOST, Trouble.LOST_ONCE, Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER})
CRASHES = frozenset({Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER})
_OF_ACTIONS = tuple(t for t in Trouble if t not in (Trouble.NONE, Trouble.UNDO_REPEATED))


class Play(NamedTuple):
    step: str
    trouble: Trouble
    scenario: Scenario | None = None


def plays_of(definition: Definition) -> Iterator[Play]:
    """Give the scenarios whose step is known, then all the rest."""
    for scenario in definition.scenarios:
        if scenario.step is not None and can_fail(step_named(definition, scenario.step)):
            yield Play(scenario.step, _trouble_of(definition, scenario), scenario)
    yield Play("", Trouble.NONE)
    for step in definition.steps:
        if step.type in (StepType.ACTION, StepType.SAGA):
            for trouble in _OF_ACTIONS:
                yield Play(step.name, trouble)
        elif can_fail(step):
            yield Play(step.name, Trouble.REFUSED)
    last = last_that_undoes(definition)
    if last is not None:
        yield Play(last.name, Trouble.UNDO_REPEATED)


def can_fail(step: Step) -> bool:
    """Say whether a step can be brought to fail: a timer cannot, nor a wait without an end."""
    if step.type == StepType.SIGNAL:
        return step.within_s is not None and step.on_timeout == OnTimeout.FAIL
    return step.type != StepType.TIMER


def last_that_undoes(definition: Definition) -> Step | None:
    """Return the last step whose refusal undoes what came before it."""
    steps = [s for s in definition.steps if s.kind != Kind.RETRIABLE and can_fail(s)]
    pivots = [place for place, s in enumerate(definition.steps) if s.kind == Kind.PIVOT]
    if pivots:
        steps = [s for s in steps if definition.steps.index(s) <= pivots[0]]
    return steps[-1] if steps else None


def step_named(definition: Definition, name: str) -> Step:
    return definition.steps[definition.index_of(name)]


def _trouble_of(definition: Definition, scenario: Scenario) -> Trouble:
    """A failure that undoes its own step, too, is one whose outcome nobody knows."""
    own = step_named(definition, scenario.step or "").compensation
    return Trouble.LOST if own in scenario.compensations else Trouble.REFUSED


# As often as written, but at once; an undo at least twice, or it could not be repeated.
def _quick(policy: RetryPolicy, *, at_least: int = 1) -> RetryPolicy:
    attempts = max(at_least, policy.attempts)
    return RetryPolicy(attempts, initial_s=0.0, cap_s=0.0, total_s=3_600.0, jitter=False)


def rehearsal(definition: Definition, play: Play) -> Definition:
    """Return the definition as it is played: without data, with short waits and quick retries.

    Conditions hold, mappings are left out, locks are free, and a sub-saga is one call: its own file
    is verified by itself.
    """
    written = locks_of(definition)
    steps = tuple(
        _rehearsed(step, fails=step.name == play.step)._replace(
            locks=_rehearsed_locks(written, step.locks)
        )
        for step in definition.steps
    )
    return Definition(
        definition.name,
        steps,
        on_failure=definition.on_failure,
        locks=_rehearsed_locks(written, definition.locks),
        on_locked=definition.on_locked,
    )


def locks_of(definition: Definition) -> tuple[str, ...]:
    """Return the names of all locks as they are written, each once."""
    names = [*definition.locks, *(name for step in definition.steps for name in step.locks)]
    return tuple(dict.fromkeys(names))


def _rehearsed_locks(written: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Name locks by their places, and by the saga: there is no data, and nobody to wait for."""
    return tuple(f"{written.index(name)}:{{saga.id}}" for name in names)


def as_written(definition: Definition, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that locks have in the definition, by those that they have in a play."""
    written = locks_of(definition)
    return tuple(written[place] for place in sorted(int(name.partition(":")[0]) for name in names))


def _rehearsed(step: Step, *, fails: bool) -> Step:
    step = step._replace(when="", input=None, output=None, non_retryable=())
    if step.type == StepType.TIMER:
        return step._replace(wait_s=0.05, until="")
    if step.type == StepType.SIGNAL:
        return step._replace(within_s=0.05 if fails else None, on_timeout=OnTimeout.FAIL)
    if step.type == StepType.APPROVAL:
        return step._replace(within_s=None, on_timeout=OnTimeout.FAIL, approvers="")
    return step._replace(
        type=StepType.ACTION,
        within_s=None,
        retry=_quick(step.retry),
        undo_retry=_quick(step.undo_retry, at_least=2),
    )


class Director:
    """Decides what participants answer in one play."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self._made: Counter[tuple[str, Direction]] = Counter()

    def __call__(self, call: Call) -> Answer:
        trouble = self.play.trouble
        self._made[call.step, call.direction] += 1
        first = self._made[call.step, call.direction] == 1
        if call.direction == Direction.BACKWARD:
            repeats = first and trouble == Trouble.UNDO_REPEATED
            return lose_answer() if repeats else succeed()
        if call.step != self.play.step:
            return succeed()
        if trouble in _ALWAYS:
            return _ALWAYS[trouble]
        return _FIRST.get(trouble, succeed()) if first else succeed()


_ALWAYS = {
    Trouble.REFUSED: refuse(),
    Trouble.UNDO_REPEATED: refuse(),
    Trouble.FAILS: fail(),
    Trouble.LOST: lose_answer(),
}
_FIRST = {
    Trouble.LOST_ONCE: lose_answer(),
    Trouble.CRASH_BEFORE: crash(took_effect=False),
    Trouble.CRASH_AFTER: crash(took_effect=True),
    Trouble.REPEATED: accept_then_reply(after="10ms", copies=2),
}
