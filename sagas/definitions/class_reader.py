"""Reads what a `Saga` class declares into a Definition."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sagas.core.definition import Definition, OnFailure, OnLocked, Scenario, Step
from sagas.definitions.class_steps import StepReader
from sagas.definitions.conversions import (
    to_entries,
    to_expressions,
    to_priority,
    to_seconds,
    to_text,
    to_texts,
    to_version,
)
from sagas.definitions.declarations import Action, DeclaredScenario
from sagas.definitions.exceptions import Path, Place
from sagas.definitions.reports import Report
from sagas.definitions.scenarios import failing_step, split_entries
from sagas.definitions.wording import quoted, read_choice

SAGA_FIELDS = {"timeout_s": "timeout", "on_failure": "on_failure"} | {
    name: name
    for name in (
        "name",
        "orchestrator",
        "version",
        "description",
        "steps",
        "scenarios",
        "invariants",
        "search",
        "priority",
        "locks",
        "on_locked",
    )
}


class ClassReader:
    """Reads one class: its steps and scenarios, the callables among them, and all problems."""

    def __init__(self, cls: type, place: Place) -> None:
        self.cls = cls
        self.report = Report(place.file)
        self.report.places[()] = place._replace(field=cls.__name__)
        for attribute, field in SAGA_FIELDS.items():
            self.report.places[attribute,] = place._replace(field=f"{cls.__name__}.{field}")
        self._steps = StepReader(cls, self.report)

    @property
    def local_actions(self) -> dict[tuple[str, str], Action]:
        return self._steps.local_actions

    def read(
        self,
        *,
        name: str,
        orchestrator: str,
        version: int,
        description: str,
        timeout: Any,
        on_failure: str,
        search: Any,
        priority: Any,
        locks: Any,
        on_locked: str,
    ) -> Definition:
        """Return the definition. Raises DefinitionError with all problems of the class."""
        read = self.report.read
        steps, silent = self._steps.read()
        definition = Definition(
            name=read(("name",), to_text, name, ""),
            steps=steps,
            version=read(("version",), to_version, version, 0),
            on_failure=read(
                ("on_failure",), partial(read_choice, OnFailure), on_failure, OnFailure.COMPENSATE
            ),
            timeout_s=None if timeout is None else read(("timeout_s",), to_seconds, timeout, None),
            orchestrator=orchestrator and read(("orchestrator",), to_text, orchestrator, ""),
            description=description and read(("description",), to_text, description, ""),
            scenarios=self._read_scenarios(steps),
            invariants=self._read_invariants(),
            search=self._read_search(search),
            priority=read(("priority",), to_priority, priority, 0),
            locks=read(("locks",), to_texts, locks, ()),
            on_locked=read(
                ("on_locked",), partial(read_choice, OnLocked), on_locked, OnLocked.WAIT
            ),
        )
        self.report.check(definition, silent_undo=silent)
        return definition

    def _read_search(self, search: Any) -> tuple[tuple[str, str], ...]:
        none: dict[str, str] = {}
        read = self.report.read(("search",), to_expressions, search, none) if search else none
        return tuple(sorted(read.items()))

    def _read_scenarios(self, steps: Sequence[Step]) -> tuple[Scenario, ...]:
        scenarios = []
        for path, declared in self._entries("scenarios"):
            if isinstance(declared, DeclaredScenario):
                scenarios.append(self._read_scenario(path, declared, steps))
            else:
                self.report.fail(path, f"{quoted(declared)} is no scenario; write scenario(...)")
                scenarios.append(Scenario("", None, ()))
        return tuple(scenarios)

    def _read_scenario(
        self, path: Path, declared: DeclaredScenario, steps: Sequence[Step]
    ) -> Scenario:
        field = self.report.locate(path).field
        self.report.places[path] = declared.place._replace(field=field)
        for name in ("name", "step", "compensations"):
            self.report.places[*path, name] = declared.place._replace(field=f"{field}.{name}")
        read = self.report.read
        name = read((*path, "name"), to_text, declared.name, "")
        step = None
        if declared.step is not None:
            step = read((*path, "step"), to_text, declared.step, None)
        written: object = declared.compensations
        entries: list[str] = read((*path, "compensations"), to_entries, written, [])
        compensations, notes = split_entries(entries)
        return Scenario(name, step or failing_step(name, steps), compensations, notes)

    def _read_invariants(self) -> tuple[str, ...]:
        entries = self._entries("invariants")
        return tuple(self.report.read(path, to_text, text, "") for path, text in entries)

    def _entries(self, name: str) -> list[tuple[Path, Any]]:
        """Return the entries of a list of the class, each with its path."""
        value = getattr(self.cls, name)
        place = self.report.locate((name,))
        if not isinstance(value, list | tuple):
            self.report.fail((name,), "must be a list")
            return []
        for index in range(len(value)):
            field = f"{place.field}[{index}]"
            self.report.places[name, index] = place._replace(field=field)
        return [((name, index), entry) for index, entry in enumerate(value)]
