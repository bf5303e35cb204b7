"""What a failure scenario says: which step fails, and which compensations then run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sagas.core.definition import Definition, Step
from sagas.definitions.exceptions import Fault
from sagas.definitions.limits import LONGEST_NAME, MOST_SCENARIOS, MOST_STEPS
from sagas.definitions.ordering import ancestors, is_linear
from sagas.definitions.wording import listed, quoted, suggestion

# Words that say that something failed, not what.
_FAILURE = re.compile(
    r"fail\w*|error\w*|timeout|timed|out|not|rejected|refused|declined|denied|unavailable|expired"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\dA-Za-z_]+")
_CURE = "remove it, or say which step fails with the field step"


def split_entries(entries: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the compensations that entries name, and as notes the entries that have brackets.

    `(none, first step)` is only a note; `cancelFlight (by mail)` is a compensation and a note.
    """
    compensations, notes = [], []
    for entry in entries:
        name = entry.partition("(")[0].strip()
        if name:
            compensations.append(name)
        if "(" in entry:
            notes.append(entry.strip())
    return tuple(compensations), tuple(notes)


def failing_step(scenario: str, steps: Sequence[Step]) -> str | None:
    """Return the step that the scenario's name tells, or None where it tells none or several.

    "HotelReservationFailed" is about ReserveHotel: a word counts the more, the fewer steps
    have it. Action, service and compensation are asked only where no name has any of the
    words ("OutOfStock" and `releaseStock`).
    """
    steps = steps[:MOST_STEPS]
    wanted = [word for word in words_of(scenario) if not _FAILURE.fullmatch(word)]
    best = _best(wanted, [[step.name] for step in steps]) or _best(
        wanted, [[step.action, step.participant, step.compensation or ""] for step in steps]
    )
    return steps[best[0]].name if len(best) == 1 else None


def words_of(name: str) -> Iterator[str]:
    """Yield the lower-case words of a camelCase, snake_case or spaced name."""
    for match in _WORD.finditer(name[:LONGEST_NAME]):
        yield match[0].lower()


def _best(wanted: list[str], names: list[list[str]]) -> list[int]:
    """Return the places of those whose names share most with the wanted words."""
    vocabularies = [{word for name in group for word in words_of(name)} for group in names]
    scores = [0.0] * len(vocabularies)
    for word in wanted:
        holders = [
            place
            for place, vocabulary in enumerate(vocabularies)
            if any(_alike(word, other) for other in vocabulary)
        ]
        for place in holders:
            scores[place] += 1 / len(holders)
    top = max(scores, default=0.0)
    return [place for place, score in enumerate(scores) if score and score == top]


def _alike(one: str, other: str) -> bool:
    """Say whether two words are forms of one: reserve and reservation, ship and shipping."""
    short, long = sorted((one, other), key=len)
    if one == other or not short.isalpha():
        return one == other
    shared = next((i for i, c in enumerate(short) if c != long[i]), len(short))
    return shared >= min(max(5, len(short) - 2), max(3, len(short)))


def check_scenarios(definition: Definition) -> Iterator[Fault]:
    """Report scenarios that speak of unknown steps or undos, or of an order that cannot be."""
    known_steps = {step.name for step in definition.steps}
    undos = [step.compensation for step in definition.steps if step.compensation]
    for index, scenario in enumerate(definition.scenarios[:MOST_SCENARIOS]):
        path = ("scenarios", index)
        if scenario.step is not None and scenario.step not in known_steps:
            near = suggestion(scenario.step, known_steps)
            yield (*path, "step"), f"there is no step {quoted(scenario.step)}; {near}"
        unknown = [i for i, undo in enumerate(scenario.compensations) if undo not in undos]
        for place in unknown:
            name = scenario.compensations[place]
            near = suggestion(name, undos) if undos else "this saga has none"
            yield (
                (*path, "compensations", place),
                f"{quoted(name)} is the compensation of no step; {near}",
            )
        if not unknown:
            yield from _check_order(definition, index)


def _check_order(definition: Definition, index: int) -> Iterator[Fault]:
    """Report the first compensation that could not run in its place.

    Undos run in reverse order of start, so those of parallel steps in any order. A list that
    leaves some out is no contradiction: playing the scenario shows what it lacks. The failing
    step's own undo may be in it, for a failure whose outcome nobody knows.
    """
    scenario = definition.scenarios[index]
    steps, before = definition.steps, ancestors(definition.steps)
    names = [step.name for step in steps]
    failing = names.index(scenario.step) if scenario.step in names else None
    order = [
        place
        for place in range(len(steps) - 1, -1, -1)
        if steps[place].compensation and failing not in before[place]
    ]
    undos = [steps[place].compensation or "" for place in order]
    remaining = list(order)
    for number, undo in enumerate(scenario.compensations):
        path = ("scenarios", index, "compensations", number)
        if undo not in undos:
            yield path, f"{quoted(undo)} undoes a step after {quoted(scenario.step)}; {_CURE}"
            return
        undone = next((place for place in remaining if steps[place].compensation == undo), None)
        if undone is None:
            hint = "" if is_linear(steps) else ", those of parallel steps in any order"
            message = f"is out of order; undos run in reverse: {listed(undos)}{hint}"
            yield path, f"{quoted(undo)} {message}"
            return
        # Whatever came after it has been undone by now, or was never done.
        remaining = [p for p in remaining if p != undone and undone not in before[p]]
