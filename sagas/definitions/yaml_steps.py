"""Reads the steps of a saga written in YAML, each with the fields of its type."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from yaml.nodes import MappingNode, Node, ScalarNode

from sagas.core.definition import (
    DEFAULT_UNDO_RETRY,
    NO_RETRY,
    Kind,
    OnTimeout,
    OnUnknown,
    RetryPolicy,
    Step,
    StepType,
)
from sagas.definitions.durations import read_duration
from sagas.definitions.flows import AFTER_IN_GROUP, After, after_of, flatten, place_above
from sagas.definitions.limits import MOST_STEPS
from sagas.definitions.policies import (
    ARGUMENT_READERS,
    EXPONENTIAL_PARAMETERS,
    exponential,
    read_policy,
)
from sagas.definitions.reports import Report
from sagas.definitions.sections import Section
from sagas.definitions.step_types import ACTIONS, UNDO_OF_SAGA, misplaced
from sagas.definitions.wording import read_choice
from sagas.definitions.yaml_flows import Entry, read_flow

_ALWAYS = {"when": "when", "after": "after", "locks": "locks"}
_WAITING = {"timeout": "within_s", "onTimeout": "on_timeout"} | _ALWAYS
FIELDS: dict[StepType, dict[str, str]] = {
    StepType.ACTION: {
        "name": "name",
        "service": "participant",
        "action": "action",
        "compensation": "compensation",
        "kind": "kind",
        "timeout": "timeout_s",
        "retryPolicy": "retry",
        "undoRetryPolicy": "undo_retry",
        "onUnknown": "on_unknown",
        "probe": "probe",
        "nonRetryable": "non_retryable",
        "input": "input",
        "output": "output",
    }
    | _ALWAYS,
    StepType.SAGA: {
        "name": "name",
        "saga": "participant",
        "compensation": "compensation",
        "kind": "kind",
        "timeout": "within_s",
        "input": "input",
    }
    | _ALWAYS,
    StepType.TIMER: {"name": "name", "wait": "wait_s", "until": "until"} | _ALWAYS,
    StepType.SIGNAL: {"name": "name", "signal": "signal"} | _WAITING,
    StepType.APPROVAL: {"name": "name", "approval": "approvers"} | _WAITING,
}
# The field that makes a step one of its type.
MARKERS = {
    "saga": StepType.SAGA,
    "wait": StepType.TIMER,
    "until": StepType.TIMER,
    "signal": StepType.SIGNAL,
    "approval": StepType.APPROVAL,
}
POLICY_FIELDS = {name: name for name in EXPONENTIAL_PARAMETERS}
STEP_FIELDS = {name: name for fields in FIELDS.values() for name in fields}


def read_steps(report: Report, node: Node | None, field: str) -> tuple[tuple[Step, ...], list[int]]:
    """Return the steps, and the places of those that say nothing about an undo."""
    if node is None:
        return (), []
    entries = flatten(read_flow(report, node, field))
    if len(entries) > MOST_STEPS:
        report.fail(("steps",), f"has {len(entries)} steps; the most is {MOST_STEPS}")
        entries = entries[:MOST_STEPS]
    sections = [_section(report, index, entry) for index, (entry, _) in enumerate(entries)]
    steps = [
        _read_step(section, type_, after)
        for (section, type_), (_, after) in zip(sections, entries, strict=True)
    ]
    names = [step.name for step in steps]
    for index, (section, _) in enumerate(sections):
        if "after" in section.nodes:
            steps[index] = steps[index]._replace(after=_read_after(section, index, names))
    silent = [i for i, (section, _) in enumerate(sections) if "compensation" not in section.nodes]
    return tuple(steps), silent


def _section(report: Report, index: int, entry: Entry) -> tuple[Section, StepType]:
    type_ = _type_of(entry.node)
    report.places["steps", index] = entry.place
    foreign = {
        name: misplaced(type_, "saga" if name == "saga" else attribute)
        for fields in FIELDS.values()
        for name, attribute in fields.items()
        if name not in FIELDS[type_]
    }
    names = dict(FIELDS[type_])
    if entry.in_group:
        del names["after"]
        foreign["after"] = AFTER_IN_GROUP
    return Section(report, entry.node, ("steps", index), names, foreign), type_


def _type_of(node: Node) -> StepType:
    if isinstance(node, MappingNode):
        names = [key.value for key, _ in node.value if isinstance(key, ScalarNode)]
        for marker, type_ in MARKERS.items():
            if marker in names:
                return type_
    return StepType.ACTION


def _read_step(section: Section, type_: StepType, after: After) -> Step:
    read = _READERS.get(type_, _read_wait)
    step = read(section, type_)
    return step._replace(
        after=after,
        when=section.text("when"),
        locks=tuple(text for _, text in section.texts("locks")),
    )


def _read_action(section: Section, type_: StepType) -> Step:
    section.require("name", "service", "action")
    compensation = section.text("compensation")
    return Step(
        name=section.text("name"),
        participant=section.text("service"),
        action=section.text("action"),
        compensation=None if compensation.lower() in ("", "none") else compensation,
        timeout_s=section.value("timeout", read_duration, Step._field_defaults["timeout_s"]),
        retry=_read_policy(section, "retryPolicy", NO_RETRY),
        undo_retry=_read_policy(section, "undoRetryPolicy", DEFAULT_UNDO_RETRY),
        kind=section.value("kind", partial(read_choice, Kind), Kind.COMPENSATABLE),
        on_unknown=section.value("onUnknown", partial(read_choice, OnUnknown), OnUnknown.RETRY),
        probe=section.text("probe"),
        non_retryable=tuple(text for _, text in section.texts("nonRetryable")),
        input=section.text_or_mapping("input"),
        output=section.text_or_mapping("output"),
    )


def _read_saga(section: Section, type_: StepType) -> Step:
    section.require("name", "saga")
    compensation = section.text("compensation", UNDO_OF_SAGA)
    return Step(
        name=section.text("name"),
        participant=section.text("saga"),
        action=ACTIONS[type_],
        compensation=None if compensation.lower() == "none" else compensation,
        type=type_,
        kind=section.value("kind", partial(read_choice, Kind), Kind.COMPENSATABLE),
        within_s=section.value("timeout", read_duration, None),
        input=section.text_or_mapping("input"),
    )


def _read_wait(section: Section, type_: StepType) -> Step:
    section.require("name")
    step = Step(section.text("name"), "", ACTIONS[type_], type=type_)
    if type_ == StepType.TIMER:
        return step._replace(
            wait_s=section.value("wait", read_duration, None), until=section.text("until")
        )
    if type_ == StepType.SIGNAL:
        step = step._replace(signal=section.text("signal"))
    else:
        step = step._replace(approvers=section.value("approval", _read_approvers, ""))
    return step._replace(
        within_s=section.value("timeout", read_duration, None),
        on_timeout=section.value("onTimeout", partial(read_choice, OnTimeout), OnTimeout.FAIL),
    )


_READERS = {StepType.ACTION: _read_action, StepType.SAGA: _read_saga}


def _read_approvers(text: str) -> str:
    """Return the group that decides; empty where everybody with the permission may."""
    if text.lower() in ("false", "no", "off"):
        raise ValueError("must be true, or the name of the group whose members decide")
    return "" if text.lower() in ("true", "yes", "on") else text


def _read_policy(section: Section, name: str, default: RetryPolicy) -> RetryPolicy:
    """Return a policy written in one line, or as a mapping of its arguments."""
    node = section.nodes.get(name)
    if not isinstance(node, MappingNode):
        return section.value(name, read_policy, default)
    report, path = section.report, section.path_of(name)
    arguments = Section(report, node, path, POLICY_FIELDS)
    arguments.require("attempts")
    values = {key: arguments.value(key, ARGUMENT_READERS[key], None) for key in arguments.nodes}
    if any(field[: len(path)] == path for field in report.unread):
        report.unread.add(path)
        return default
    return exponential(**values)


def _read_after(section: Section, index: int, names: Sequence[str]) -> After:
    """Return the places of the named steps, all of which stand above this one."""
    report, path = section.report, section.path_of("after")
    find = partial(place_above, index=index, names=names)
    named = [entry for entry in section.texts("after") if entry[1]]
    places = [report.read(place, find, name, -1) for place, name in named]
    if any(unread[: len(path)] == path for unread in report.unread):
        report.unread.add(path)
    return after_of(index, [place for place in places if place >= 0])
