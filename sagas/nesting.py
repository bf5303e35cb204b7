"""Which stored definitions start which others, and that none comes back to itself."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from sagas.core.definition import Definition, StepType
from sagas.definitions import DefinitionError, Place, Problem
from sagas.definitions.wording import quoted, shown, suggestion
from sagas.models import Definition as StoredDefinition


def check_children(definition: Definition) -> None:
    """Raise DefinitionError where a step starts a saga that is not stored, or this one again.

    To be called in the transaction that stores the definition: whoever stores another one with
    children waits for its end, or two of them could close a circle at once.
    """
    children = {
        index: step.participant
        for index, step in enumerate(definition.steps)
        if step.type == StepType.SAGA
    }
    if not children:
        return
    _take_turns()
    started = _started_by(children.values())
    problems = []
    for index, child in children.items():
        if message := _wrong_with(definition.name, child, started):
            field = f"steps[{index}].participant"
            problems.append(Problem(*Place(shown(definition.name), field=field), message))
    if problems:
        raise DefinitionError(problems)


def _wrong_with(name: str, child: str, started: dict[str, list[str]]) -> str:
    if child not in started:
        stored = StoredDefinition.objects.values_list("name", flat=True).distinct()
        near = f"; {suggestion(child, stored)}" if stored else ""
        return f"there is no stored definition {quoted(child)}; store it first{near}"
    if way := _way(child, name, started):
        circle = " → ".join(map(shown, [name, *way]))
        return f"would come back to this saga without end: {circle}"
    return ""


def _take_turns() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('children of sagas', 0))")


def _started_by(names: Iterable[str]) -> dict[str, list[str]]:
    """Return for those of the definitions that are stored, and all below, what they start.

    A saga begins with the newest version of a definition, so that is the one that counts.
    """
    started: dict[str, list[str]] = {}
    level, looked_for = set(names), set[str]()
    while level:
        looked_for |= level
        newest = (
            StoredDefinition.objects.filter(name__in=level)
            .order_by("name", "-version")
            .distinct("name")
            .values_list("name", "spec")
        )
        level = set()
        for name, spec in newest:
            steps = spec["steps"]
            started[name] = [s["participant"] for s in steps if s.get("type") == StepType.SAGA]
            level.update(started[name])
        level -= looked_for
    return started


def _way(start: str, end: str, started: dict[str, list[str]]) -> list[str]:
    """Return the definitions from one to another, each started by the one before, or nothing."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop()
        if way[-1] == end:
            return way
        further = [child for child in started.get(way[-1], ()) if child not in seen]
        seen.update(further)
        ways += [[*way, child] for child in further]
    return []
