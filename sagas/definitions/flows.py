"""Steps one after the other and side by side, as both formats write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sagas.definitions.wording import quoted, suggestion

ONLY_EARLIER = "only steps above may be named, so that no circle can come about"
AFTER_IN_GROUP = (
    "has no place in a parallel group, whose branches say what comes first; take the step out of "
    "the group, or remove it"
)
TOO_FEW_BRANCHES = "must be a list of two or more branches, each a step or a list of steps"

T = TypeVar("T")
# The steps that must be done before a step, by place; None: the one written before it.
After = tuple[int, ...] | None


@dataclass(frozen=True)
class Group(Generic[T]):
    """Branches that run side by side; the steps of a branch run one after the other."""

    branches: tuple[Flow[T], ...]


Flow = Sequence[T | Group[T]]


def flatten(flow: Flow[T]) -> list[tuple[T, After]]:
    """Return the steps in the order of writing, each with what must be done before it.

    The first steps of all branches wait for what was before their group; whatever follows the
    group waits for the last steps of all of its branches.
    """
    flat: list[tuple[T, After]] = []
    _append(flow, (), flat)
    return flat


def _append(flow: Flow[T], before: tuple[int, ...], flat: list[tuple[T, After]]) -> tuple[int, ...]:
    """Append the steps of a flow that begins after `before`; return its last steps."""
    for item in flow:
        if isinstance(item, Group):
            lasts = [_append(branch, before, flat) for branch in item.branches]
            before = tuple(dict.fromkeys(place for last in lasts for place in last))
        else:
            place = len(flat)
            flat.append((item, after_of(place, before)))
            before = (place,)
    return before


def after_of(place: int, before: Sequence[int]) -> After:
    """Return the one form of what comes before the step at a place, however it was written."""
    in_order = tuple(sorted(set(before)))
    return None if in_order == ((place - 1,) if place else ()) else in_order


def place_above(name: str, index: int, names: Sequence[str]) -> int:
    """Return the place of the step with this name above another. Raises ValueError."""
    above = names[:index]
    if name in above:
        return above.index(name)
    if name in names[index:]:
        raise ValueError(f"{quoted(name)} is not above this one; {ONLY_EARLIER}")
    near = suggestion(name, above) if above else ONLY_EARLIER
    raise ValueError(f"{quoted(name)} is no step; {near}")
