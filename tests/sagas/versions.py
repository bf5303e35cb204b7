"""Other versions of a definition, as its owners may store them while its sagas are on their way."""

from __future__ import annotations

from sagas.core.definition import Definition, Kind, OnFailure, Step


def other_version(definition: Definition, number: int) -> Definition:
    """Return another version: a step more or less, at the end or in between, or another policy."""
    number, change = divmod(number, 4)
    steps = definition.steps
    if change == 0:
        steps = _inserted(steps, len(steps), f"N{definition.version}")
    elif change == 1:
        steps = _inserted(steps, number % (len(steps) + 1), f"N{definition.version}")
    elif change == 2 and len(steps) > 1:
        steps = _without(steps, number % len(steps))
    turned = OnFailure.PARK if definition.on_failure != OnFailure.PARK else OnFailure.COMPENSATE
    on_failure = turned if change == 3 else definition.on_failure
    return definition._replace(version=definition.version + 1, steps=steps, on_failure=on_failure)


def _inserted(steps: tuple[Step, ...], place: int, name: str) -> tuple[Step, ...]:
    """Return the steps with one more, which comes after the one before it in the list."""
    behind = any(step.kind == Kind.PIVOT for step in steps[:place])
    undo = None if behind else f"undo{name}"
    kind = Kind.RETRIABLE if behind else Kind.COMPENSATABLE
    new = Step(name, "Service", f"do{name}", undo, kind=kind)
    later = tuple(_shifted(step, place, by=1) for step in steps[place:])
    return (*steps[:place], new, *later)


def _without(steps: tuple[Step, ...], place: int) -> tuple[Step, ...]:
    """Return the steps without one; what came after it comes after nothing in its place."""
    later = tuple(_shifted(step, place, by=-1) for step in steps[place + 1 :])
    return (*steps[:place], *later)


def _shifted(step: Step, place: int, *, by: int) -> Step:
    if step.after is None:
        return step
    kept = (before for before in step.after if by > 0 or before != place)
    return step._replace(after=tuple(b + by if b >= place else b for b in kept))
