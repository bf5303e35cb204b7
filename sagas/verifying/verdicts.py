"""The verdict over one definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sagas.core.definition import Definition
from sagas.definitions.ordering import is_linear
from sagas.verifying.invariants import Invariant, check
from sagas.verifying.judging import compensations, problems_of
from sagas.verifying.observing import Observed, play_in_memory
from sagas.verifying.plays import CRASHES, Play, can_fail, plays_of, step_named

# Plays them all, each on a saga of its own.
Stage = Callable[[Definition, Sequence[Play]], list[Observed]]


class Line(NamedTuple):
    """One play, or a scenario that could not be played (without an end)."""

    step: str
    trouble: str
    scenario: str
    ended: str
    ran: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


class Verdict(NamedTuple):
    name: str
    lines: tuple[Line, ...]
    invariants: tuple[Invariant, ...]

    @property
    def holds(self) -> bool:
        return all(line.holds for line in self.lines) and all(
            invariant.holds is not False for invariant in self.invariants
        )

    def to_json(self) -> dict[str, Any]:
        """Return {"name", "holds", "plays": [...], "invariants": [...]}."""
        return {
            "name": self.name,
            "holds": self.holds,
            "plays": [line._asdict() | {"holds": line.holds} for line in self.lines],
            "invariants": [invariant._asdict() for invariant in self.invariants],
        }


def in_memory(definition: Definition, plays: Sequence[Play]) -> list[Observed]:
    return [play_in_memory(definition, play) for play in plays]


def verify(definition: Definition, *, engine: Stage | None = None) -> Verdict:
    """Play every scenario and every other trouble, and check the invariants by it.

    Where an engine is given it plays them as well, and has to come to the same.
    """
    plays = list(plays_of(definition))
    seen = in_memory(definition, plays)
    by_engine = engine(definition, plays) if engine is not None else seen
    lines = [
        _line(definition, play, own, other)
        for play, own, other in zip(plays, seen, by_engine, strict=True)
    ]
    played = list(zip(plays, by_engine, strict=True))
    return Verdict(
        definition.name,
        tuple(_unplayed(definition)) + tuple(lines),
        tuple(check(definition, played)),
    )


def _line(definition: Definition, play: Play, own: Observed, other: Observed) -> Line:
    problems = list(problems_of(definition, play, other))
    if _gist(own) != _gist(other) and not _may_differ(definition, play):
        problems.append(f"the engine came to {_gist(other)}, the core in memory to {_gist(own)}")
    return Line(
        play.step,
        play.trouble.value,
        play.scenario.name if play.scenario else "",
        other.status,
        tuple(compensations(definition, other)),
        tuple(problems),
    )


def _gist(seen: Observed) -> tuple[str, list[str], list[str]]:
    """Return what must be the same wherever it is played: the order side by side may differ."""
    return seen.status, sorted(seen.undone), sorted(seen.standing)


def _may_differ(definition: Definition, play: Play) -> bool:
    """What else is in the air when a worker crashes is a matter of chance."""
    return play.trouble in CRASHES and not is_linear(definition.steps)


def _unplayed(definition: Definition) -> list[Line]:
    """Return the scenarios that say nothing that could be played, with the cure."""
    lines = []
    for scenario in definition.scenarios:
        problem = ""
        if scenario.step is None:
            names = ", ".join(step.name for step in definition.steps)
            problem = (
                "its name does not tell which step fails; say it with the field step: "
                f"(one of {names})"
            )
        elif not can_fail(step_named(definition, scenario.step)):
            problem = f"{scenario.step} cannot fail: it waits without an end that is a failure"
        if problem:
            lines.append(Line(scenario.step or "", "", scenario.name, "", (), (problem,)))
    return lines
