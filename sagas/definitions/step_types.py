"""Which fields each type of step has."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.core.definition import WAITS, Definition, Kind, OnTimeout, Step, StepType
from sagas.definitions.exceptions import Fault

# What a step does that calls no action of a participant's own.
ACTIONS = {
    StepType.SAGA: "start",
    StepType.TIMER: "wait",
    StepType.SIGNAL: "signal",
    StepType.APPROVAL: "approve",
}
UNDO_OF_SAGA = "compensate"

_WHAT = {
    StepType.ACTION: "a step that calls a service",
    StepType.SAGA: "a step that starts another saga",
    StepType.TIMER: "a timer, which calls nobody",
    StepType.SIGNAL: "a step that waits for a signal, which calls nobody",
    StepType.APPROVAL: "an approval, which calls nobody",
}
_ALWAYS = {"name", "type", "after", "when", "locks"}
_OWN: dict[StepType, set[str]] = {
    StepType.ACTION: {
        "participant",
        "action",
        "compensation",
        "timeout_s",
        "retry",
        "undo_retry",
        "kind",
        "on_unknown",
        "probe",
        "input",
        "output",
        "non_retryable",
    },
    StepType.SAGA: {"participant", "compensation", "kind", "input", "within_s"},
    StepType.TIMER: {"wait_s", "until"},
    StepType.SIGNAL: {"signal", "within_s", "on_timeout"},
    StepType.APPROVAL: {"approvers", "within_s", "on_timeout"},
}
ATTRIBUTES = {type_: frozenset(_ALWAYS | own) for type_, own in _OWN.items()}
_MAKE_OWN_STEP = frozenset({"signal", "approvers", "wait_s", "until", "saga"})


def misplaced(type_: StepType, attribute: str) -> str:
    """Return what is wrong with a field that a step of this type does not have."""
    cure = "remove it"
    if attribute in _MAKE_OWN_STEP:
        cure = "make it a step of its own"
    elif attribute in ("on_timeout", "within_s") and type_ == StepType.ACTION:
        cure = "timeout, retry policy and onUnknown say what happens without an answer"
    elif attribute == "kind":
        cure = "remove it: there is no effect that could be undone"
    return f"has no place in {_WHAT[type_]}; {cure}"


def check_types(definition: Definition) -> Iterator[Fault]:
    """Report what a step holds that its type has no use for, and what its type lacks."""
    for index, step in enumerate(definition.steps):
        for attribute in _foreign(step):
            yield ("steps", index, attribute), misplaced(step.type, attribute)
        yield from ((("steps", index, attribute), message) for attribute, message in _lacking(step))


def _foreign(step: Step) -> Iterator[str]:
    expected = Step(step.name, "", ACTIONS.get(step.type, ""))
    for attribute in Step._fields:
        allowed = attribute in ATTRIBUTES[step.type]
        if not allowed and getattr(step, attribute) != getattr(expected, attribute):
            yield attribute


def _lacking(step: Step) -> Iterator[tuple[str, str]]:
    if step.type == StepType.TIMER:
        if step.wait_s is None and not step.until:
            yield "wait_s", "is missing; say how long, or until when"
        if step.wait_s is not None and step.until:
            yield "until", "is a second end of this timer; keep one of the two"
    if step.type == StepType.SAGA and step.compensation not in (None, UNDO_OF_SAGA):
        yield "compensation", "can only be none: a saga that was started is undone by its own steps"
    if step.on_timeout == OnTimeout.CONTINUE and step.within_s is None and step.type in WAITS:
        yield "on_timeout", "needs a timeout; without one the step waits for ever"
    if step.on_unknown == "probe" and not step.probe:
        yield "on_unknown", "probe needs the field probe: the action that tells the outcome"
    if step.probe and step.on_unknown != "probe":
        yield "probe", "is never asked; let unknown outcomes be probed, or remove it"


def can_fail(step: Step) -> bool:
    """Say whether the end of a wait can be a failure."""
    return step.within_s is not None and step.on_timeout == OnTimeout.FAIL


def must_be_retriable(step: Step) -> bool:
    """Say whether the step would break the way forward, after the point of no return."""
    return can_fail(step) if step.type in WAITS else step.kind != Kind.RETRIABLE
