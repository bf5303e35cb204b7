"""What a reader of definitions reports: every problem of a file, with its place and its cure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

# A field of a Definition by its attribute names, such as ("steps", 0, "timeout_s").
Path = tuple[str | int, ...]
# What is wrong with a field, before anybody knows where it was written.
Fault = tuple[Path, str]


class Place(NamedTuple):
    """Where a field was written. Lines and columns count from 1; 0 means not known."""

    file: str
    line: int = 0
    column: int = 0
    field: str = ""


class Problem(NamedTuple):
    """One thing that is wrong with a definition, and how to mend it."""

    file: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.field, self.message) if part)


class DefinitionError(Exception):
    """A definition cannot be used. `problems` has all that were found, in the order of the file.

    The text has one line per problem:

        travel.yaml:12: saga.steps[0].timeout: "10 sec" is no duration; write for example 10s
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))

    @classmethod
    def at(cls, place: Place, message: str) -> DefinitionError:
        """Return the error that has this one problem."""
        return cls([Problem(*place, message)])
