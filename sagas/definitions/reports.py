"""Collects the problems of one definition while a format is read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from sagas.core.definition import Definition
from sagas.definitions.exceptions import DefinitionError, Path, Place, Problem
from sagas.definitions.validation import find_faults

MOST_PROBLEMS = 50

R = TypeVar("R")
T = TypeVar("T")


class Report:
    """The problems found so far, and where each field was written.

    A field that cannot be read gets a stand-in, so that reading goes on and the author hears
    of everything at once.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.places: dict[Path, Place] = {}
        self.unread: set[Path] = set()

    def add(self, place: Place, message: str) -> None:
        """Note a problem. Raises DefinitionError once there are too many to be of use."""
        self.problems.append(Problem(*place, message))
        if len(self.problems) >= MOST_PROBLEMS:
            more = f"these are the first {MOST_PROBLEMS} problems; mend them and read again"
            raise DefinitionError([*self.problems, Problem(self.file, 0, 0, "", more)])

    def fail(self, path: Path, message: str) -> None:
        """Note that this field could not be read."""
        self.unread.add(path)
        self.add(self.locate(path), message)

    def read(self, path: Path, convert: Callable[[R], T], raw: R, default: T) -> T:
        """Return what the raw value stands for; note a ValueError and return the default."""
        try:
            return convert(raw)
        except ValueError as error:
            self.fail(path, str(error))
            return default

    def locate(self, path: Path) -> Place:
        """Return where the field was written, or else the nearest thing around it."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places.get(path, Place(self.file))

    def check(
        self,
        definition: Definition,
        *,
        participants: Collection[str] | None = None,
        silent_undo: Collection[int] = (),
    ) -> None:
        """Validate what was read. Raises DefinitionError if anything was or is wrong."""
        faults = find_faults(
            definition,
            participants=participants,
            silent_undo=silent_undo,
            unread=frozenset(self.unread),
        )
        for path, message in faults:
            self.add(self.locate(path), message)
        if self.problems:
            raise DefinitionError(sorted(self.problems, key=lambda p: (p.file, p.line, p.column)))
