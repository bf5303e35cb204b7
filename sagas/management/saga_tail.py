"""manage.py saga tail: what happens to sagas, as it happens."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from typing import Any, TextIO

from sagas.following import Followed, Follower
from sagas.management.saga_lookup import find_saga
from sagas.narrating import narrate, padded

# How often it looks.
PAUSE_S = 0.5


def add_tail(commands: Any) -> None:
    """Add the command to those of `manage.py saga`."""
    parser = commands.add_parser("tail", help="follow the journals of sagas, until Ctrl-C")
    parser.add_argument("saga", nargs="?", help="id or business key; default: the newest sagas")
    parser.add_argument("--definition", default="", help="only sagas of this definition")
    parser.add_argument("--lines", type=int, default=10, help="of one saga: how many old entries")
    parser.add_argument(
        "--for", type=float, dest="seconds", default=float("inf"), metavar="SECONDS"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON per entry")


def tail(given: Namespace, stdout: TextIO) -> None:
    """Write new entries as they come."""
    follower = _follower(given)
    until = time.monotonic() + given.seconds
    try:
        while True:
            for entry in follower.look():
                stdout.write((_as_json(entry) if given.json else _as_text(entry)) + "\n")
            stdout.flush()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(PAUSE_S, left))
    except KeyboardInterrupt:
        return


def _follower(given: Namespace) -> Follower:
    if given.saga is None:
        return Follower(definition=given.definition)
    saga = find_saga(given.saga)
    return Follower(saga_id=saga.pk, seen=max(0, saga.version - given.lines))


def _as_text(entry: Followed) -> str:
    (line,) = narrate([(entry.seq, entry.kind, entry.at.timestamp(), entry.step, entry.data)])
    at = entry.at.astimezone().strftime("%H:%M:%S.%f")[:-3]
    told = f"{entry.business_key}  {padded(entry.step)} {line.what}  {line.text}".rstrip()
    return f"{at}  {told}"


def _as_json(entry: Followed) -> str:
    told = entry._asdict() | {"saga_id": str(entry.saga_id), "at": entry.at.isoformat()}
    return json.dumps(told, ensure_ascii=False)
