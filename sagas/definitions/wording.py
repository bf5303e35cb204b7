"""How problems quote what was written and suggest what was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice
from typing import TypeVar

E = TypeVar("E", bound=StrEnum)

SHOWN_CHARACTERS = 60
MOST_COMPARED = 200
MOST_LISTED = 20


def quoted(value: object) -> str:
    """Return the value in quotes, shortened, with what a terminal cannot print escaped."""
    text = str(value)
    if len(text) > SHOWN_CHARACTERS:
        text = text[: SHOWN_CHARACTERS - 1] + "…"
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f'"{"".join(escaped)}"'


def shown(name: str) -> str:
    """Return a name as it is, or in quotes if it is too long or odd to stand in a sentence."""
    return name if name.isprintable() and len(name) < SHOWN_CHARACTERS else quoted(name)


def listed(names: Iterable[str]) -> str:
    """Return the first of the names, with commas."""
    first = [shown(name) for name in islice(names, MOST_LISTED + 1)]
    return ", ".join(first[:MOST_LISTED]) + (", …" if len(first) > MOST_LISTED else "")


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the question for the nearest known word, else the first words that are known."""
    by_plain_form = {_plain(name): name for name in islice(known, MOST_COMPARED)}
    if near := get_close_matches(_plain(word), by_plain_form, n=1):
        return f"did you mean {shown(by_plain_form[near[0]])}?"
    return f"known are {listed(by_plain_form.values())}"


def _plain(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "")


def read_choice(kind: type[E], text: str) -> E:
    """Return the member with this value. Raises ValueError that names the members."""
    try:
        return kind(text)
    except ValueError:
        allowed = ", ".join(kind)
        raise ValueError(f"{quoted(text)} is not one of {allowed}") from None
