"""What a drawing of a definition says about each step, and the definition as Mermaid text."""

from __future__ import annotations

import json
from typing import NamedTuple

from sagas.core.definition import Definition, Kind, Step, StepType
from sagas.definitions.durations import format_duration
from sagas.definitions.ordering import predecessors


class Words(NamedTuple):
    """The words of a drawing, for whoever wants them in another language."""

    pivot: str = "point of no return"
    retriable: str = "must succeed"
    undo: str = "undo: {}"
    condition: str = "only if {}"
    saga: str = "saga {}"
    wait: str = "waits {}"
    until: str = "waits until {}"
    signal: str = "signal {}"
    approval: str = "approval"
    approval_by: str = "approval by {}"
    at_most: str = "at most {}"
    lock: str = "lock: {}"


ENGLISH = Words()

_MERMAID_SHAPES = {
    StepType.ACTION: ("[", "]"),
    StepType.SAGA: ("[[", "]]"),
    StepType.TIMER: ("([", "])"),
    StepType.SIGNAL: ("([", "])"),
    StepType.APPROVAL: ("([", "])"),
}


class Label(NamedTuple):
    """What stands at a step: its name, its kind where it is special, a few lines, its undo."""

    name: str
    kind: str
    lines: tuple[str, ...]
    undo: str = ""


def label_of(step: Step, words: Words = ENGLISH) -> Label:
    """Return what a drawing says about a step."""
    lines = [_what(step, words)]
    if step.within_s is not None:
        lines.append(words.at_most.format(format_duration(step.within_s)))
    if step.when:
        lines.append(words.condition.format(step.when))
    if step.locks:
        lines.append(words.lock.format(", ".join(step.locks)))
    undo = step.compensation if step.kind == Kind.COMPENSATABLE else None
    return Label(
        step.name,
        {Kind.PIVOT: words.pivot, Kind.RETRIABLE: words.retriable}.get(step.kind, ""),
        tuple(" ".join(line.split()) for line in lines),
        words.undo.format(undo) if undo else "",
    )


def _what(step: Step, words: Words) -> str:
    if step.type == StepType.SAGA:
        return words.saga.format(step.participant)
    if step.type == StepType.TIMER:
        if step.wait_s is None:
            return words.until.format(step.until)
        return words.wait.format(format_duration(step.wait_s))
    if step.type == StepType.SIGNAL:
        return words.signal.format(step.signal)
    if step.type == StepType.APPROVAL:
        return words.approval_by.format(step.approvers) if step.approvers else words.approval
    return f"{step.participant} · {step.action}"


def to_mermaid(definition: Definition) -> str:
    """Return the definition as a flow chart of Mermaid (https://mermaid.js.org)."""
    lines = ["---", f"title: {json.dumps(definition.name)}", "---", "flowchart TD"]
    for place, step in enumerate(definition.steps):
        lines.append(f"  s{place}{_shape(step)}")
    for place, before in enumerate(predecessors(definition.steps)):
        lines += [f"  s{earlier} --> s{place}" for earlier in before]
    pivots = [f"s{i}" for i, step in enumerate(definition.steps) if step.kind == Kind.PIVOT]
    lines += [f"  style {name} stroke-width:3px" for name in pivots]
    return "\n".join(lines) + "\n"


def _shape(step: Step) -> str:
    label = label_of(step)
    opening, closing = _MERMAID_SHAPES[step.type]
    kind = [f"<i>{_escaped(label.kind)}</i>"] if label.kind else []
    lines = filter(None, (*label.lines, label.undo))
    text = "<br/>".join([f"<b>{_escaped(label.name)}</b>", *kind, *map(_escaped, lines)])
    return f'{opening}"{text}"{closing}'


def _escaped(text: str) -> str:
    """Write what Mermaid or HTML would take for its own as Mermaid's entities."""
    return "".join(f"#{ord(char)};" if char in "\"'`#&<>;\\" else char for char in text)
