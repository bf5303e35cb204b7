"""Whether what came of a play is as it should be, told by the definition and the effects alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagas.core.definition import Definition, Kind, OnFailure, OnUnknown, StepType
from sagas.core.state import ENDED
from sagas.definitions.ordering import ancestors
from sagas.testing.participants import leaves_nothing
from sagas.verifying.observing import Observed
from sagas.verifying.plays import DOUBTFUL, Play, Trouble, step_named

# After these the saga cannot have gone on as if nothing had happened.
_FATAL = frozenset({Trouble.REFUSED, Trouble.FAILS, Trouble.UNDO_REPEATED})
_HARMLESS = frozenset({Trouble.NONE, Trouble.REPEATED})


def problems_of(definition: Definition, play: Play, seen: Observed) -> Iterator[str]:
    """Yield what should not be; nothing where the play holds."""
    yield from _wrong_end(definition, play, seen)
    yield from _wrong_effects(definition, seen)
    yield from _wrong_order(seen)
    yield from wrong_locks(definition, seen)
    if play.trouble == Trouble.UNDO_REPEATED:
        yield from _not_repeated(seen)
    if play.scenario is not None:
        yield from _not_as_listed(definition, play.scenario.compensations, seen)


def _wrong_end(definition: Definition, play: Play, seen: Observed) -> Iterator[str]:
    allowed = ends_of(definition, play, seen)
    if seen.status not in allowed:
        yield f"it ended {seen.status}, not {' or '.join(allowed)}"


def ends_of(definition: Definition, play: Play, seen: Observed) -> list[str]:
    """Return the statuses in which the play may end."""
    if play.trouble in _HARMLESS:
        return ["completed"]
    step = step_named(definition, play.step)
    pivots = {s.name for s in definition.steps if s.kind == Kind.PIVOT}
    # Who is asked clears the doubt up.
    in_doubt = play.trouble in DOUBTFUL and step.on_unknown != OnUnknown.PROBE
    stops = (
        definition.on_failure == OnFailure.PARK
        or step.kind == Kind.RETRIABLE
        or bool(pivots.intersection(seen.standing))
        or (in_doubt and (step.kind == Kind.PIVOT or step.on_unknown == OnUnknown.PARK))
    )
    ends = ["failed"] if stops else ["compensated"]
    # Tried again, or asked for, what was in doubt may turn out well.
    return ends if play.trouble in _FATAL else ["completed", *ends]


def _wrong_effects(definition: Definition, seen: Observed) -> Iterator[str]:
    twice = [name for name, count in seen.effects.items() if count > 1]
    if twice:
        yield f"done twice: {', '.join(twice)}"
    if seen.status == "compensated" and seen.standing:
        yield f"effects stand: {', '.join(seen.standing)}"
    if seen.status in ("completed", "failed") and seen.undone:
        yield f"undone although it is {seen.status}: {', '.join(seen.undone)}"
    if seen.status == "completed":
        acting = (StepType.ACTION, StepType.SAGA)
        wanted = {s.name for s in definition.steps if s.type in acting and not leaves_nothing(s)}
        if missing := wanted.difference(seen.standing):
            yield f"completed without: {', '.join(sorted(missing))}"


def _wrong_order(seen: Observed) -> Iterator[str]:
    if len(set(seen.undone)) < len(seen.undone):
        yield f"undone more than once: {', '.join(seen.undone)}"
    if not is_reverse(seen):
        yield f"begun {', '.join(seen.began)}; undone {', '.join(seen.undone)}"


def is_reverse(seen: Observed) -> bool:
    """Say whether the undos ran in reverse order of start."""
    return list(seen.undone) == [name for name in reversed(seen.began) if name in seen.undone]


def wrong_locks(definition: Definition, seen: Observed) -> Iterator[str]:
    """Yield what is wrong with the locks: not taken, left behind, or given back too soon."""
    begun = [step_named(definition, name) for name in seen.began]
    wanted = {name for step in begun for name in (*definition.locks, *step.locks)}
    if missing := sorted(wanted.difference(seen.locked)):
        yield f"begun without its locks: {', '.join(missing)}"
    if seen.status in ENDED and seen.still_locked:
        yield f"{seen.status}, and still holds: {', '.join(seen.still_locked)}"
    if seen.status == "failed" and (lost := sorted(wanted.difference(seen.still_locked))):
        yield f"it stopped, and has not kept: {', '.join(lost)}"


def _not_repeated(seen: Observed) -> Iterator[str]:
    for name in seen.undone:
        keys = seen.undo_keys.get(name, ())
        if len(keys) != 2 or len(set(keys)) != 1:
            yield f"the undo of {name} was called under {', '.join(keys) or 'no key'}"


def _not_as_listed(definition: Definition, listed: Sequence[str], seen: Observed) -> Iterator[str]:
    ran = compensations(definition, seen)
    if not is_same_order(definition, listed, ran):
        yield f"listed: {_named(listed)}; ran: {_named(ran)}"


def compensations(definition: Definition, seen: Observed) -> list[str]:
    """Return the compensations that ran, in their order."""
    return [step_named(definition, name).compensation or "" for name in seen.undone]


def is_same_order(definition: Definition, listed: Sequence[str], ran: Sequence[str]) -> bool:
    """Say whether two lists are the same but for the order of steps that ran side by side."""
    if sorted(listed) != sorted(ran):
        return False
    before = ancestors(definition.steps)
    places = [place for place, step in enumerate(definition.steps) if step.compensation in listed]
    for later in places:
        for earlier in before[later].intersection(places):
            undo, first = (definition.steps[p].compensation or "" for p in (earlier, later))
            if undo != first and listed.index(undo) < listed.index(first):
                return False
    return True


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
