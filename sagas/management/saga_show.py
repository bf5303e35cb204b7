"""manage.py saga show and history: one saga as it is, and as it was."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TextIO

from django.core.management.base import CommandError
from rich.table import Table

from sagas import catalogue, checking
from sagas.core import verbs
from sagas.core.definition import Definition
from sagas.core.state import SagaState, StepState, StepStatus, WaitsFor, from_json
from sagas.core.undo import standing
from sagas.core.verbs import Verb
from sagas.management.saga_lookup import Found, find_with_journal
from sagas.management.terminal import write_table
from sagas.models import JournalEntry, Saga
from sagas.narrating import Row, narrate, shown


def add_show(commands: Any) -> None:
    """Add the commands to those of `manage.py saga`."""
    show = commands.add_parser("show", help="one saga: its steps, what can be done, its timeline")
    show.add_argument("saga", help="id or business key")
    show.add_argument("--json", action="store_true")
    history = commands.add_parser("history", help="one saga as it was at some time")
    history.add_argument("saga", help="id or business key")
    point = history.add_mutually_exclusive_group(required=True)
    point.add_argument("--at", type=_moment, metavar="TIME", help="as 2027-03-14T09:00:00+09:00")
    point.add_argument("--seq", type=int, metavar="N", help="after its n-th entry")
    history.add_argument("--json", action="store_true")


class View(NamedTuple):
    """What is shown of a saga: its state then, and the entries up to then."""

    found: Found
    state: SagaState
    steps: Sequence[str]
    journal: Sequence[JournalEntry]
    # None where it cannot be read, and for what is past.
    definition: Definition | None


def show(given: Namespace, stdout: TextIO) -> None:
    """Write a saga as it is now."""
    found = find_with_journal(given.saga)
    saga = found.saga
    definition = catalogue.readable({saga.definition_id}).get(saga.definition_id)
    state = from_json(saga.state, version=saga.version)
    names = [step.name for step in definition.steps] if definition else []
    names += [f"step {number + 1}" for number in range(len(names), len(state.steps))]
    _write(View(found, state, names, found.journal, definition), given, stdout)


def history(given: Namespace, stdout: TextIO) -> None:
    """Write a saga as it was: the fold of its journal up to then."""
    found = find_with_journal(given.saga)
    upto = [
        row
        for row in found.journal
        if (row.seq <= given.seq if given.seq is not None else row.at <= given.at)
    ]
    if not upto:
        began = found.journal[0].at.isoformat() if found.journal else "nowhere"
        raise CommandError(f"It had not begun then; its journal begins at {began}.")
    definition = catalogue.readable({found.saga.definition_id}).get(found.saga.definition_id)
    if definition is None:
        raise CommandError("A newer release wrote its definition; this one cannot read it.")
    first = checking.first_names(definition, found.journal)
    state, names = checking.fold_rows(first, upto)
    _write(View(found, state, names, upto, None), given, stdout)


def _write(view: View, given: Namespace, stdout: TextIO) -> None:
    if given.json:
        stdout.write(json.dumps(_to_json(view), ensure_ascii=False, indent=2) + "\n")
        return
    for line in _head(view):
        stdout.write(line + "\n")
    table = Table("step", "status", "attempts", "undos", "", box=None, pad_edge=False)
    for name, step in zip(view.steps, view.state.steps, strict=True):
        status = step.status.replace("_", " ")
        table.add_row(name, status, str(step.attempt), str(step.undo_attempt), _told(step))
    write_table(table, stdout)
    if possible := _possible(view):
        stdout.write(f"can be done: {', '.join(possible)}\n")
    for entry in narrate(rows_of(view.journal)):
        at = datetime.fromtimestamp(entry.at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        stdout.write(f"{entry.seq:>4}  {at}  {entry}\n")


def rows_of(journal: Sequence[JournalEntry]) -> list[Row]:
    """Return journal rows as `narrating` takes them."""
    return [(row.seq, row.kind, row.at.timestamp(), row.step, row.data) for row in journal]


def _head(view: View) -> list[str]:
    saga, state = view.found.saga, view.state
    words = [state.status.value]
    words += ["paused"] if state.paused_at is not None else []
    words += ["archived"] if view.found.is_archived else []
    lines = [f"{saga.business_key}  {saga.definition}  {', '.join(words)}  {saga.pk}"]
    start = view.found.start
    told = [f"started {saga.created_at.isoformat(timespec='seconds')}"]
    if start is not None and start.tenant:
        told.append(f"tenant {start.tenant}")
    if view.definition is not None and saga.due_at is not None:
        told.append(f"due {saga.due_at.isoformat(timespec='seconds')}")
    lines.append(", ".join(told))
    if state.cause:
        lines.append(f"cause: {_error(state.cause)}")
    if state.parent:
        lines.append(f"parent: {state.parent['saga']}, step {state.parent['step']}")
    lines += [f"child: {child['id']}, {child['status']}" for child in _children(view)]
    return lines


def _children(view: View) -> list[dict[str, str]]:
    ids = [step.child for step in view.state.steps if step.child]
    found = dict(Saga.objects.filter(pk__in=ids).values_list("pk", "status")) if ids else {}
    statuses = {str(pk): status for pk, status in found.items()}
    return [{"id": child, "status": statuses.get(child, "gone or archived")} for child in ids]


def _told(step: StepState) -> str:
    words = []
    if step.status == StepStatus.WAITING and step.waits_for != WaitsFor.REPLY:
        words.append(f"waits for {step.waits_for}")
    if step.child:
        words.append(f"saga {step.child}")
    if step.in_doubt:
        words.append("its outcome is unknown")
    if step.wake_at is not None:
        at = datetime.fromtimestamp(step.wake_at).astimezone().isoformat(timespec="seconds")
        words.append(f"until {at}" if step.status == StepStatus.WAITING else f"again at {at}")
    if step.blocked:
        words.append(f"lock {step.blocked['lock']} is held by {step.blocked['holder']}")
    if step.error and step.status not in (StepStatus.SUCCEEDED, StepStatus.COMPENSATED):
        words.append(_error(step.error))
    if step.output is not None:
        words.append(shown(step.output))
    return "; ".join(words)


def _error(error: dict[str, Any]) -> str:
    where = f"{error['step']}: " if error.get("step") else ""
    return f"{where}{error.get('class')}: {error.get('message')}".replace("\n", " ")


def _possible(view: View) -> list[str]:
    """Return the verbs that may be given now, with the steps that they are for."""
    if view.definition is None or view.found.is_archived:
        return []
    possible = []
    for verb in verbs.legal(view.definition, view.state):
        name = verb.value.replace("_", "-")
        steps = _STEPS_OF[verb](view.definition, view.state) if verb in _STEPS_OF else ()
        named = ", ".join(view.definition.steps[index].name for index in steps)
        possible.append(f"{name} ({named})" if named else name)
    return possible


_STEPS_OF: dict[Verb, Callable[[Definition, SagaState], tuple[int, ...]]] = {
    Verb.MARK_DONE: verbs.steps_to_mark,
    Verb.SKIP: verbs.steps_to_skip,
    Verb.REWIND: verbs.steps_to_rewind,
    Verb.APPROVE: lambda _, state: verbs.steps_to_approve(state),
    Verb.REJECT: lambda _, state: verbs.steps_to_approve(state),
}


def _to_json(view: View) -> dict[str, Any]:
    saga, state = view.found.saga, view.state
    return {
        "id": str(saga.pk),
        "business_key": saga.business_key,
        "definition": saga.definition.name,
        "version": saga.definition.version,
        "status": state.status.value,
        "paused": state.paused_at is not None,
        "archived": view.found.is_archived,
        "created_at": saga.created_at.isoformat(),
        "due_at": saga.due_at.isoformat() if saga.due_at and view.definition else None,
        "cause": state.cause,
        "parent": state.parent,
        "children": _children(view),
        "steps": [
            {"name": name} | _said(step) for name, step in zip(view.steps, state.steps, strict=True)
        ],
        "standing": [view.steps[index] for index in standing(state)],
        "can_be_done": _possible(view),
        "journal": [entry_to_json(row) for row in view.journal],
    }


def _said(step: StepState) -> dict[str, Any]:
    defaults = StepState()
    return {
        field: value
        for field, value in step._asdict().items()
        if field == "status" or value != getattr(defaults, field)
    }


def entry_to_json(row: JournalEntry) -> dict[str, Any]:
    """Return a journal entry as JSON data."""
    return {
        "seq": row.seq,
        "at": row.at.isoformat(),
        "kind": row.kind,
        "step": row.step,
        "data": row.data,
    }


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError(text)
    return moment
