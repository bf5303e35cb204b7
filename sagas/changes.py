"""What an operator has changed in a JSON document, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Stands for what one side does not have at all.
ABSENT = object()


def changes_between(old: Any, new: Any) -> list[dict[str, Any]]:
    """Return the lines that differ: {"path", "old"?, "new"?}; what is not there is left out.

    Paths are those of JMESPath: `order.lines[2].count`.
    """
    return list(_changes("", old, new))


def _changes(path: str, old: Any, new: Any) -> Iterator[dict[str, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            inner = f"{path}.{name}" if path else name
            yield from _changes(inner, old.get(name, ABSENT), new.get(name, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            pair = (side[index] if index < len(side) else ABSENT for side in (old, new))
            yield from _changes(f"{path}[{index}]", *pair)
    elif old != new or type(old) is not type(new):
        sides = {"old": old, "new": new}
        yield {"path": path} | {side: value for side, value in sides.items() if value is not ABSENT}
