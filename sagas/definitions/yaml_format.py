"""Reads a saga definition written in YAML (docs/definition-format.md)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from yaml.nodes import MappingNode, Node

from sagas.core.definition import Definition, OnFailure, OnLocked, Scenario, Step
from sagas.definitions.conversions import to_priority
from sagas.definitions.documents import compose
from sagas.definitions.durations import read_duration
from sagas.definitions.exceptions import DefinitionError
from sagas.definitions.reports import Report
from sagas.definitions.scenarios import failing_step, split_entries
from sagas.definitions.sections import Section, place_of
from sagas.definitions.wording import quoted, read_choice
from sagas.definitions.yaml_steps import read_steps

SAGA_FIELDS = {
    "name": "name",
    "type": "type",
    "version": "version",
    "description": "description",
    "orchestrator": "orchestrator",
    "timeout": "timeout_s",
    "onFailure": "on_failure",
    "priority": "priority",
    "searchAttributes": "search",
    "locks": "locks",
    "onLocked": "on_locked",
    "steps": "steps",
    "failureScenarios": "scenarios",
    "invariants": "invariants",
}
SCENARIO_FIELDS = {"scenario": "name", "step": "step", "compensations": "compensations"}
ORCHESTRATION = "orchestration"

_PRIORITY = re.compile(r"[-+]?\d{1,9}", re.ASCII)
_VERSION = re.compile(r"[1-9]\d{0,8}", re.ASCII)


def read_yaml(
    text: str, *, filename: str, participants: Collection[str] | None = None
) -> Definition:
    """Return the saga that a YAML text defines.

    Where the names of the participants are given, each step's service must be one of them.
    Raises DefinitionError with all problems, and nothing else, whatever the text holds.
    """
    report = Report(filename)
    saga = _saga_section(report, compose(text, file=filename))
    saga_type = saga.value("type", _read_type, ORCHESTRATION)
    if report.unread == {("type",)}:
        raise DefinitionError(report.problems)
    saga.require("name", "steps")
    steps, silent = read_steps(report, saga.nodes.get("steps"), "saga.steps")
    definition = Definition(
        name=saga.text("name"),
        steps=steps,
        version=saga.value("version", _read_version, 0),
        on_failure=saga.value("onFailure", partial(read_choice, OnFailure), OnFailure.COMPENSATE),
        timeout_s=saga.value("timeout", read_duration, None),
        type=saga_type,
        orchestrator=saga.text("orchestrator"),
        description=saga.text("description"),
        scenarios=tuple(_read_scenarios(saga, steps)),
        invariants=tuple(text for _, text in saga.texts("invariants")),
        search=tuple(sorted(saga.mapping("searchAttributes").items())),
        priority=saga.value("priority", _read_priority, 0),
        locks=tuple(text for _, text in saga.texts("locks")),
        on_locked=saga.value("onLocked", partial(read_choice, OnLocked), OnLocked.WAIT),
    )
    report.check(definition, participants=participants, silent_undo=silent)
    return definition


def _saga_section(report: Report, root: Node) -> Section:
    """Return the mapping under `saga`, the only field of a file. Raises DefinitionError."""
    file = Section(report, root, (), {"saga": "saga"})
    if "saga" not in file.nodes:
        message = "must begin with the line saga:, with all its fields indented below it"
        if isinstance(root, MappingNode) and any(key.value == "events" for key, _ in root.value):
            message = "has event contracts (events:), not a saga (saga:)"
        raise DefinitionError.at(place_of(report, root, ""), message)
    report.places[()] = report.places["saga",]
    return Section(report, file.nodes["saga"], (), SAGA_FIELDS)


def _read_type(text: str) -> str:
    if text == "choreography":
        raise ValueError(
            "choreography cannot be run yet; only sagas of type orchestration, whose steps an "
            "orchestrator calls, can"
        )
    if text != ORCHESTRATION:
        raise ValueError(f"{quoted(text)} is no type; write orchestration, or remove the field")
    return text


def _read_version(text: str) -> int:
    if not _VERSION.fullmatch(text):
        raise ValueError(f"{quoted(text)} is no version; write a whole number from 1")
    return int(text)


def _read_priority(text: str) -> int:
    return to_priority(int(text) if _PRIORITY.fullmatch(text) else text)


def _read_scenarios(saga: Section, steps: Sequence[Step]) -> Iterator[Scenario]:
    for path, node in saga.items("failureScenarios"):
        section = Section(saga.report, node, path, SCENARIO_FIELDS)
        section.require("scenario", "compensations")
        name, step = section.text("scenario"), section.text("step")
        entries = section.texts("compensations")
        compensations, notes = split_entries(text for _, text in entries)
        # The places count entries; those that are only a note are no compensations.
        named = [place for place, text in entries if split_entries([text])[0]]
        places = [saga.report.places[place] for place in named]
        for index, place in enumerate(places):
            saga.report.places[*section.path_of("compensations"), index] = place
        yield Scenario(name, step or failing_step(name, steps), compensations, notes)
