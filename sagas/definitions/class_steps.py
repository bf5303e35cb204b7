"""Reads the steps that a `Saga` class declares, and which of them run side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from sagas.core.definition import (
    DEFAULT_UNDO_RETRY,
    NO_RETRY,
    Kind,
    OnTimeout,
    OnUnknown,
    Step,
    StepType,
)
from sagas.definitions.conversions import (
    to_action_name,
    to_error_names,
    to_expression_or_mapping,
    to_policy,
    to_saga_name,
    to_seconds,
    to_text,
    to_texts,
)
from sagas.definitions.declarations import (
    NOT_GIVEN,
    Action,
    Branch,
    DeclaredGroup,
    DeclaredStep,
)
from sagas.definitions.exceptions import Path
from sagas.definitions.flows import (
    AFTER_IN_GROUP,
    TOO_FEW_BRANCHES,
    After,
    Flow,
    Group,
    after_of,
    flatten,
    place_above,
)
from sagas.definitions.reports import Report
from sagas.definitions.step_types import ACTIONS, UNDO_OF_SAGA
from sagas.definitions.wording import quoted, read_choice

Declared = DeclaredStep | DeclaredGroup
# What the author calls the fields of a step that have another name in the definition.
_WRITTEN = {
    "participant": "service",
    "timeout_s": "timeout",
    "within_s": "timeout",
    "wait_s": "wait",
    "approvers": "by",
}


class Entry(NamedTuple):
    """A declared step, with the attribute that it is; empty for one written in a group."""

    attribute: str
    step: DeclaredStep
    in_group: bool


class StepReader:
    """Reads the steps of one class, and the callables among their actions."""

    def __init__(self, cls: type, report: Report) -> None:
        self.cls = cls
        self.report = report
        self.local_actions: dict[tuple[str, str], Action] = {}
        self._declared: dict[str, Declared] = {}
        # By identity, also of what a subclass has replaced under the same name.
        self._attributes: dict[int, str] = {}

    def read(self) -> tuple[tuple[Step, ...], list[int]]:
        """Return the steps, and the places of those that say nothing about an undo."""
        self._collect()
        entries = flatten(self._flow())
        for index, (entry, _) in enumerate(entries):
            self._note_places(index, entry)
        names = [self._read_name(index, entry) for index, (entry, _) in enumerate(entries)]
        steps = []
        for index, (entry, after) in enumerate(entries):
            step = self._read_step(index, entry, names[index])
            steps.append(step._replace(after=self._read_after(index, entry, after, names)))
        silent = [i for i, (entry, _) in enumerate(entries) if entry.step.compensation is NOT_GIVEN]
        return tuple(steps), silent

    def _collect(self) -> None:
        """Find the steps and groups by attribute, those of base classes first."""
        for cls in reversed(self.cls.__mro__):
            own = {k: v for k, v in vars(cls).items() if isinstance(v, Declared)}
            self._declared |= own
            self._attributes |= {id(value): name for name, value in own.items()}

    def _flow(self) -> Flow[Entry]:
        """Return what stands in the class; what a group names runs where the group stands."""
        groups = [value for value in self._declared.values() if isinstance(value, DeclaredGroup)]
        named = {self._attributes.get(id(item)) for group in groups for item in _members(group)}
        return [
            self._item(value, in_group=False)
            for name, value in self._declared.items()
            if name not in named
        ]

    def _item(self, declared: Declared, *, in_group: bool) -> Entry | Group[Entry]:
        attribute = self._attributes.get(id(declared), "")
        declared = self._declared.get(attribute, declared)
        if isinstance(declared, DeclaredStep):
            return Entry(attribute, declared, in_group)
        return self._group(declared, attribute)

    def _group(self, group: DeclaredGroup, attribute: str) -> Group[Entry]:
        place = group.place._replace(field=f"{self.cls.__name__}.{attribute or 'parallel'}")
        if len(group.branches) < 2:
            self.report.add(place, TOO_FEW_BRANCHES)
            self.report.unread.add(("steps", "after"))
        flows = []
        for branch in group.branches:
            items = _items(branch)
            for item in items:
                if not isinstance(item, Declared):
                    self.report.add(place, f"{quoted(item)} is no step; write step(...)")
            if not items:
                self.report.add(place, "has an empty branch; write a step, or remove it")
            good = [item for item in items if isinstance(item, Declared)]
            flows.append([self._item(item, in_group=True) for item in good])
        return Group(tuple(flows))

    def _note_places(self, index: int, entry: Entry) -> None:
        path: Path = ("steps", index)
        field = f"{self.cls.__name__}.{entry.attribute or entry.step.name or 'step'}"
        self.report.places[path] = entry.step.place._replace(field=field)
        for name in Step._fields:
            written = _WRITTEN.get(name, name)
            if name == "participant" and entry.step.type == StepType.SAGA:
                written = "saga"
            place = entry.step.place._replace(field=f"{field}.{written}")
            self.report.places[*path, name] = place

    def _read_name(self, index: int, entry: Entry) -> str:
        path = ("steps", index, "name")
        if entry.step.name is None and not entry.attribute:
            self.report.fail(path, "is missing; a step written inside a group has no other name")
            return ""
        name = entry.attribute if entry.step.name is None else entry.step.name
        return self.report.read(path, to_text, name, "")

    def _read_after(
        self, index: int, entry: Entry, structural: After, names: Sequence[str]
    ) -> After:
        """Return the places that the author named, else those that follow from the order."""
        if entry.step.after is None:
            return structural
        path = ("steps", index, "after")
        if entry.in_group:
            self.report.fail(path, AFTER_IN_GROUP)
            return structural
        if not isinstance(entry.step.after, list | tuple):
            self.report.fail(path, "must be a list of steps")
            return structural
        find = partial(place_above, index=index, names=names)
        wanted = [self._name_of(item) for item in entry.step.after]
        return after_of(
            index, [p for p in (self.report.read(path, find, n, -1) for n in wanted) if p >= 0]
        )

    def _name_of(self, item: DeclaredStep | str) -> str:
        if not isinstance(item, DeclaredStep):
            return str(item)
        attribute = self._attributes.get(id(item), "")
        declared = self._declared.get(attribute, item)
        return getattr(declared, "name", None) or attribute

    def _read_step(self, index: int, entry: Entry, name: str) -> Step:
        declared = entry.step
        if declared.type == StepType.ACTION:
            step = self._read_action(("steps", index), declared, name)
        elif declared.type == StepType.SAGA:
            step = self._read_saga(("steps", index), declared, name)
        else:
            step = self._read_wait(("steps", index), declared, name)
        path, read = ("steps", index), self.report.read
        return step._replace(
            when=self._read_text((*path, "when"), declared.when),
            locks=read((*path, "locks"), to_texts, declared.locks, ()),
        )

    def _read_action(self, path: Path, declared: DeclaredStep, name: str) -> Step:
        read, own = self.report.read, partial(self._read_own_action, path)
        undo_retry = DEFAULT_UNDO_RETRY if declared.undo_retry is None else declared.undo_retry
        participant = self._read_participant((*path, "participant"), declared)
        unknown = partial(read_choice, OnUnknown)
        return Step(
            name=name,
            participant=participant,
            action=own("action", participant, declared.action) or "",
            compensation=own("compensation", participant, _undo_of(declared)),
            timeout_s=read((*path, "timeout_s"), to_seconds, declared.timeout, 30.0),
            retry=read((*path, "retry"), to_policy, declared.retry, NO_RETRY),
            undo_retry=read((*path, "undo_retry"), to_policy, undo_retry, DEFAULT_UNDO_RETRY),
            kind=self._read_kind(path, declared),
            on_unknown=read((*path, "on_unknown"), unknown, declared.on_unknown, OnUnknown.RETRY),
            probe=own("probe", participant, declared.probe) or "",
            non_retryable=read(
                (*path, "non_retryable"), to_error_names, declared.non_retryable, ()
            ),
            input=self._read_mapping((*path, "input"), declared.input),
            output=self._read_mapping((*path, "output"), declared.output),
        )

    def _read_saga(self, path: Path, declared: DeclaredStep, name: str) -> Step:
        undo = self._read_own_action(path, "compensation", "", _undo_of(declared))
        return Step(
            name=name,
            participant=self.report.read((*path, "participant"), to_saga_name, declared.saga, ""),
            action=ACTIONS[StepType.SAGA],
            compensation=UNDO_OF_SAGA if declared.compensation is NOT_GIVEN else undo,
            type=StepType.SAGA,
            kind=self._read_kind(path, declared),
            within_s=self._read_duration((*path, "within_s"), declared.timeout),
            input=self._read_mapping((*path, "input"), declared.input),
        )

    def _read_wait(self, path: Path, declared: DeclaredStep, name: str) -> Step:
        read = self.report.read
        return Step(
            name=name,
            participant="",
            action=ACTIONS[declared.type],
            type=declared.type,
            wait_s=self._read_duration((*path, "wait_s"), declared.wait),
            until=self._read_text((*path, "until"), declared.until),
            signal=self._read_text((*path, "signal"), declared.signal),
            approvers=self._read_text((*path, "approvers"), declared.by),
            within_s=self._read_duration((*path, "within_s"), declared.timeout),
            on_timeout=read(
                (*path, "on_timeout"),
                partial(read_choice, OnTimeout),
                declared.on_timeout,
                OnTimeout.FAIL,
            ),
        )

    def _read_participant(self, path: Path, declared: DeclaredStep) -> str:
        if declared.service is not None:
            return self.report.read(path, to_text, declared.service, "")
        if any(map(callable, (declared.action, declared.compensation, declared.probe))):
            return self.cls.__name__
        self.report.fail(path, "is missing; name the service that performs the action")
        return ""

    def _read_own_action(
        self, step: Path, attribute: str, participant: str, action: str | Action | None
    ) -> str | None:
        """Return the name of an action, and keep the callable if it is one."""
        if action is None:
            return None
        path = (*step, attribute)
        name = self.report.read(path, to_action_name, action, "")
        if name and not isinstance(action, str):
            function = action.__func__ if isinstance(action, staticmethod) else action
            known = self.local_actions.setdefault((participant, name), function)
            if known is not function:
                self.report.fail(
                    path, f"{name} is already the name of another callable; rename one"
                )
        return name

    def _read_kind(self, path: Path, declared: DeclaredStep) -> Kind:
        read_kind = partial(read_choice, Kind)
        return self.report.read((*path, "kind"), read_kind, declared.kind, Kind.COMPENSATABLE)

    def _read_text(self, path: Path, written: object) -> str:
        return "" if written == "" else self.report.read(path, to_text, written, "")

    def _read_duration(self, path: Path, duration: object) -> float | None:
        return None if duration is None else self.report.read(path, to_seconds, duration, None)

    def _read_mapping(self, path: Path, written: object) -> str | dict[str, str] | None:
        if written is None:
            return None
        return self.report.read(path, to_expression_or_mapping, written, None)


def _undo_of(declared: DeclaredStep) -> str | Action | None:
    undo = declared.compensation
    if undo is NOT_GIVEN or (isinstance(undo, str) and undo.lower() == "none"):
        return None
    return undo


def _items(branch: Branch) -> Sequence[Declared]:
    """Return what runs one after the other in a branch."""
    return branch if isinstance(branch, list | tuple) else [branch]  # type: ignore[list-item]


def _members(group: DeclaredGroup) -> list[Declared]:
    """Return the steps and groups that a group names, those of its groups as well."""
    found = []
    for branch in group.branches:
        for item in _items(branch):
            found.append(item)
            if isinstance(item, DeclaredGroup):
                found += _members(item)
    return found
