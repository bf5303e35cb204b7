"""What makes a definition unusable, whatever format it was written in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial

from sagas.core.definition import Definition, OnLocked, StepType
from sagas.definitions.durations import format_duration
from sagas.definitions.exceptions import DefinitionError, Fault, Path, Place, Problem
from sagas.definitions.flows import ONLY_EARLIER
from sagas.definitions.limits import MOST_STEPS, check_names, check_numbers, check_texts
from sagas.definitions.ordering import longest_path
from sagas.definitions.pivots import check_kinds, check_undos
from sagas.definitions.references import check_expressions
from sagas.definitions.scenarios import check_scenarios
from sagas.definitions.step_types import check_types
from sagas.definitions.wording import quoted, shown, suggestion

Rule = Callable[[Definition], Iterator[Fault]]


def validate(
    definition: Definition,
    *,
    participants: Collection[str] | None = None,
    locate: Callable[[Path], Place] | None = None,
) -> None:
    """Raise DefinitionError with everything that is wrong with the definition.

    Participants are checked where their names are given. `locate` says where a field was
    written; without it the problems name the field only.
    """
    locate = locate or partial(_place_without_file, definition)
    faults = find_faults(definition, participants=participants)
    if problems := [Problem(*locate(path), message) for path, message in faults]:
        raise DefinitionError(problems)


def find_faults(
    definition: Definition,
    *,
    participants: Collection[str] | None = None,
    silent_undo: Collection[int] = (),
    unread: Collection[Path] = (),
) -> Iterator[Fault]:
    """Yield what is wrong with the definition: the field and the message.

    `silent_undo` are the steps whose author said nothing about an undo, not even that there
    is none. `unread` are the fields that could not be read and hold a stand-in: nothing is
    said about them, and no rule is applied that compares them with others.
    """
    rules = list(_RULES)
    if len(definition.steps) <= MOST_STEPS:
        undos = partial(check_undos, silent=silent_undo)
        rules += [(undos, {"steps", "kind", "after"}), *_RULES_OF_GRAPH]
    if participants is not None:
        rules.append((partial(_check_participants, known=participants), set()))
    unread_of_steps = {path[-1] for path in unread if path[:1] == ("steps",)}
    for rule, reads in rules:
        if not reads & unread_of_steps:
            for path, message in rule(definition):
                if not any(path[: len(field)] == field for field in unread):
                    yield path, message


def _place_without_file(definition: Definition, path: Path) -> Place:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return Place(shown(definition.name) or "definition", field=text.removeprefix("."))


def _check_unique_names(definition: Definition) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, step in enumerate(definition.steps):
        if first.setdefault(step.name, index) != index:
            yield (
                ("steps", index, "name"),
                f"{quoted(step.name)} is already the name of step {first[step.name] + 1}; "
                "give each step a name of its own",
            )


def _check_after(definition: Definition) -> Iterator[Fault]:
    for index, step in enumerate(definition.steps):
        if any(not 0 <= place < index for place in step.after or ()):
            yield (
                ("steps", index, "after"),
                f"names a step that is not above it; {ONLY_EARLIER}",
            )


def _check_timeouts(definition: Definition) -> Iterator[Fault]:
    total, path = longest_path(definition)
    if definition.timeout_s is not None and definition.timeout_s < total:
        together = "the step timeouts together"
        if len(path) < len(definition.steps):
            names = " → ".join(shown(definition.steps[place].name) for place in path)
            together = f"the timeouts of {names} together"
        yield (
            ("timeout_s",),
            f"{format_duration(definition.timeout_s)} is less than {together}; "
            f"write at least {format_duration(total)}",
        )


def _check_own_start(definition: Definition) -> Iterator[Fault]:
    for index, step in enumerate(definition.steps):
        if step.type == StepType.SAGA and step.participant == definition.name:
            yield (
                ("steps", index, "participant"),
                f"{quoted(step.participant)} is this saga; it would start itself without end",
            )


def _check_locks(definition: Definition) -> Iterator[Fault]:
    has_locks = definition.locks or any(step.locks for step in definition.steps)
    if definition.on_locked != OnLocked.WAIT and not has_locks:
        yield ("on_locked",), "says what to do at a lock, but there is none; add locks or remove it"


def _check_participants(definition: Definition, *, known: Collection[str]) -> Iterator[Fault]:
    for index, step in enumerate(definition.steps):
        if step.type == StepType.ACTION and step.participant not in known:
            near = suggestion(step.participant, sorted(known)) if known else "none is registered"
            yield (
                ("steps", index, "participant"),
                f"there is no participant {quoted(step.participant)}; {near}",
            )


# Each rule with the fields of steps without which it cannot be applied.
_RULES: list[tuple[Rule, set[str]]] = [
    (check_numbers, set()),
    (check_names, set()),
    (check_texts, set()),
    (check_types, {"wait_s", "until", "within_s", "on_unknown", "probe"}),
    (_check_unique_names, set()),
    (_check_own_start, set()),
    (_check_after, {"after"}),
    (_check_locks, {"locks"}),
]
_RULES_OF_GRAPH: list[tuple[Rule, set[str]]] = [
    (check_kinds, {"steps", "kind", "after", "within_s", "on_timeout"}),
    (_check_timeouts, {"steps", "timeout_s", "wait_s", "within_s", "after"}),
    (check_expressions, {"steps", "name", "after"}),
    (check_scenarios, {"steps", "name", "kind", "compensation", "after"}),
]
