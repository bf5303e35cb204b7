"""manage.py saga retry, skip, rewind …: operators' verbs, and signals."""

from __future__ import annotations

import json
import uuid
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from outbox.audit import Actor
from sagas.core.planning import PlanLine
from sagas.core.state import Direction
from sagas.core.verbs import Verb
from sagas.models import Saga
from sagas.signals import send_signal
from sagas.verbs import Details, Order, Preview, perform, preview

HELP = {
    Verb.RETRY: "try what failed again, maybe with another input",
    Verb.COMPENSATE: "undo what was done, or chosen steps in a chosen order",
    Verb.PAUSE: "make no new call",
    Verb.RESUME: "go on after a pause",
    Verb.CANCEL: "undo it as soon as the call in flight has answered",
    Verb.MARK_DONE: "record that a step was undone by hand",
    Verb.SKIP: "count a step as done",
    Verb.REWIND: "undo what was done from a step on, and do it again",
    Verb.RUN_NOW: "end the wait of a retry or a timer",
    Verb.MOVE: "go on under another version of the definition",
    Verb.ABANDON: "end it as it is; effects may stand",
    Verb.APPROVE: "decide that a step which waits for a decision is done",
    Verb.REJECT: "decide that it has failed for good",
}


def add_verbs(commands: Any) -> None:
    """Add a command for each verb, and one for signals, to those of `manage.py saga`."""
    for verb in Verb:
        parser = commands.add_parser(verb.value.replace("_", "-"), help=HELP[verb])
        parser.set_defaults(verb=verb)
        parser.add_argument("saga", nargs="+", help="ids or business keys")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--as", dest="actor", help="the operator's user name")
        parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
        if verb in _ARGUMENTS:
            _ARGUMENTS[verb](parser)
    signal = commands.add_parser("signal", help="tell a saga what a step of it waits for")
    signal.add_argument("saga", help="id or business key")
    signal.add_argument("name", help="of the signal")
    signal.add_argument("--data", type=read_json, help="JSON, or a file with it")
    signal.add_argument("--message-id", help="the same one counts once; default: a new one")
    signal.add_argument("--as", dest="actor", help="the user name of who sends it")


def _step(parser: ArgumentParser) -> None:
    parser.add_argument("--step", required=True)


def _skip(parser: ArgumentParser) -> None:
    _step(parser)
    parser.add_argument("--output", type=read_json, help="JSON, or a file with it")


def _mark_done(parser: ArgumentParser) -> None:
    _step(parser)
    parser.add_argument("--evidence", required=True)


_ARGUMENTS: dict[Verb, Callable[[ArgumentParser], Any]] = {
    Verb.RETRY: lambda parser: parser.add_argument(
        "--input", type=read_json, help="from now on: JSON, or a file with it"
    ),
    Verb.COMPENSATE: lambda parser: parser.add_argument(
        "--steps", type=lambda text: tuple(text.split(",")), help="only A,C in this order"
    ),
    Verb.MARK_DONE: _mark_done,
    Verb.SKIP: _skip,
    Verb.REWIND: _step,
    Verb.RUN_NOW: lambda parser: parser.add_argument("--step", help="default: all that wait"),
    Verb.MOVE: lambda parser: parser.add_argument(
        "--version", dest="to_version", type=int, required=True, help="of the definition"
    ),
    Verb.APPROVE: _step,
    Verb.REJECT: _step,
}


def read_json(text: str) -> tuple[Any]:
    """Return JSON, given as such or as a file's name, as a tuple of one."""
    try:
        if not text.lstrip().startswith(("{", "[", '"')) and Path(text).is_file():
            text = Path(text).read_text(encoding="utf-8")
        return (json.loads(text),)
    except (OSError, ValueError) as error:
        raise ArgumentTypeError(f"neither JSON nor a file with it: {error}") from error


def give(given: Namespace, find: Callable[[str], Saga], stdout: TextIO) -> None:
    """Give the verb to each saga, or say what it would do. Raises SagaError and CommandError."""
    actor, details = _actor(given.actor), _details(given)
    for saga in map(find, given.saga):
        if given.dry_run:
            _tell(saga, preview(given.verb, saga, details, actor=actor), stdout)
            continue
        order = Order(actor, given.reason, str(uuid.uuid4()), saga.version)
        after = perform(given.verb, saga.pk, order, details)
        stdout.write(f"{after.business_key}: {after.status}\n")


def signal(given: Namespace, find: Callable[[str], Saga], stdout: TextIO) -> None:
    """Send a signal. Raises SagaError and CommandError."""
    saga = find(given.saga)
    message_id = given.message_id or str(uuid.uuid4())
    data = given.data[0] if given.data else None
    actor = _actor(given.actor)
    result = send_signal(saga.pk, given.name, data, message_id=message_id, actor=actor)
    stdout.write(f"{saga.business_key}: {result}\n")


def _actor(name: str | None) -> Actor:
    if not name:
        return None
    actor = get_user_model().objects.filter(username=name).first()
    if actor is None:
        raise CommandError(f"There is no user {name!r}.")
    return actor


def _details(given: Namespace) -> Details:
    output = getattr(given, "output", None)
    return Details(
        step=getattr(given, "step", None) or "",
        evidence=getattr(given, "evidence", ""),
        steps=getattr(given, "steps", None),
        output=output[0] if output else None,
        edited=getattr(given, "input", None),
        version=getattr(given, "to_version", None),
    )


def _tell(saga: Saga, shown: Preview, stdout: TextIO) -> None:
    stdout.write(f"{saga.business_key}: {saga.status}\n")
    for change in shown.changes:
        sides = [json.dumps(change[side]) for side in ("old", "new") if side in change]
        stdout.write(f"  {change['path']}: {' → '.join(sides)}\n")
    for number, line in enumerate(shown.calls, start=1):
        stdout.write(f"  {number}. {_line(line)}\n")
    if not shown.calls:
        stdout.write(f"  No call. Effects stand of: {', '.join(shown.standing) or 'no step'}.\n")


def _line(line: PlanLine) -> str:
    arrow = "↩" if line.direction == Direction.BACKWARD else "→"
    called = f" {line.participant}.{line.action}" if line.participant else ""
    return f"{arrow} {line.step}{called}{f' ({line.note})' if line.note else ''}"
