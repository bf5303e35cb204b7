"""The invariants that can be checked by playing; others are for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sagas.core.definition import Definition, StepType
from sagas.core.state import ENDED
from sagas.definitions.durations import format_duration
from sagas.definitions.ordering import longest_path
from sagas.testing import accept_then_reply, simulate
from sagas.verifying.judging import is_reverse, wrong_locks
from sagas.verifying.observing import Observed
from sagas.verifying.plays import Play, Trouble, rehearsal

Played = Sequence[tuple[Play, Observed]]
# Answers come this long before it is too late.
JUST_IN_TIME_S = 0.001


class Invariant(NamedTuple):
    """What became of one; `holds` is None where nothing here can check it."""

    text: str
    holds: bool | None
    told: str


def check(definition: Definition, played: Played) -> list[Invariant]:
    """Return what the plays say of every invariant of the definition."""
    return [_check(text, definition, played) for text in definition.invariants]


def _check(text: str, definition: Definition, played: Played) -> Invariant:
    # What follows in brackets is a note.
    plain = " ".join(re.sub(r"\(.*?\)", "", text).casefold().rstrip(". ").split())
    checker = _CHECKERS.get(plain)
    if checker is None:
        return Invariant(text, None, "not checked: nothing here knows how")
    return Invariant(text, *checker(definition, played))


def _idempotent(definition: Definition, played: Played) -> tuple[bool, str]:
    repeated = [seen for play, seen in played if play.trouble == Trouble.UNDO_REPEATED]
    undone = [name for seen in repeated for name in seen.undone]
    if not undone:
        return True, "nothing is ever undone"
    for seen in repeated:
        for name in seen.undone:
            keys = seen.undo_keys.get(name, ())
            if len(keys) != 2 or len(set(keys)) != 1 or seen.undone.count(name) != 1:
                return False, f"{name}: called {len(keys)} times under {len(set(keys))} keys"
        if seen.standing:
            return False, f"effects stand: {', '.join(seen.standing)}"
    return True, f"{len(undone)} undos, each called twice under one key, undid once"


def _reverse_order(definition: Definition, played: Played) -> tuple[bool, str]:
    undoing = [(play, seen) for play, seen in played if seen.undone]
    for play, seen in undoing:
        if not is_reverse(seen):
            return False, f"{play.step} {play.trouble}: undone {', '.join(seen.undone)}"
    return True, f"in all {len(undoing)} runs that undid something"


def _timeout(definition: Definition, played: Played) -> tuple[bool, str]:
    total, path = longest_path(definition)
    kind = "sum" if len(path) == len(definition.steps) else "longest way"
    told = f"the {kind} of the step timeouts is {format_duration(total)}"
    if definition.timeout_s is None:
        return True, f"{told}; the saga has no timeout that could be shorter"
    told += f", the saga's {format_duration(definition.timeout_s)}"
    if definition.timeout_s < total:
        return False, f"{told}: less"
    status = _slowest_run(definition)
    told += f": a buffer of {format_duration(definition.timeout_s - total)}"
    return status == "completed", f"{told}; with every answer at the last moment it {status}"


def _slowest_run(definition: Definition) -> str:
    """Return how the saga ends when every participant takes all the time it has."""
    played = rehearsal(definition, Play("", Trouble.NONE))._replace(timeout_s=definition.timeout_s)
    run = simulate(played)
    for step in played.steps:
        if step.type == StepType.ACTION:
            after = max(0.0, step.timeout_s - JUST_IN_TIME_S)
            run.on(step.participant, step.action, accept_then_reply(after=after))
    run.to_end()
    for step in played.steps:
        if step.type == StepType.SIGNAL:
            run.signal(step.signal).to_end()
        elif step.type == StepType.APPROVAL and run.step(step.name) == "waiting":
            run.approve(step.name).to_end()
    return run.status


def _locks(definition: Definition, played: Played) -> tuple[bool, str]:
    if not definition.takes_locks:
        return True, "it takes none"
    for play, seen in played:
        for problem in wrong_locks(definition, seen):
            return False, f"{play.step} {play.trouble}: {problem}"
    ended = sum(seen.status in ENDED for _, seen in played)
    return True, f"in all {ended} runs that ended; a saga that stops keeps them"


_CHECKERS: dict[str, Callable[[Definition, Played], tuple[bool, str]]] = {
    "all compensations must be idempotent": _idempotent,
    "all locks are given back at the end": _locks,
    "compensation order is reverse of execution order": _reverse_order,
    "saga timeout = sum of step timeouts + buffer": _timeout,
}
