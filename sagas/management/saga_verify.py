"""manage.py saga verify: play every failure of a definition before it happens."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import CommandError
from django.db import DatabaseError
from rich.console import Console
from rich.table import Table

from sagas.definitions import read_yaml
from sagas.management.terminal import console_on
from sagas.verifying import Verdict, verify
from sagas.verifying.engine import play_on_engine, temporary_database
from sagas.verifying.verdicts import Line, Stage


def add_verify(commands: Any) -> None:
    """Add the command to those of `manage.py saga`."""
    parser = commands.add_parser("verify", help="play the failure scenarios of definitions")
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE.yaml")
    parser.add_argument(
        "--engine",
        action="store_true",
        help="with driver, database and HTTP, too, on a database that is dropped afterwards",
    )
    parser.add_argument("--json", action="store_true")


def verify_files(given: Namespace, stdout: TextIO) -> None:
    """Write a verdict per file. Raises CommandError when something does not hold."""
    definitions = [
        (file, read_yaml(file.read_text(encoding="utf-8"), filename=str(file)))
        for file in given.file
    ]
    with _stage(given.engine) as engine:
        verdicts = [(file, verify(definition, engine=engine)) for file, definition in definitions]
    if given.json:
        told = [{"file": str(file)} | verdict.to_json() for file, verdict in verdicts]
        stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    else:
        for file, verdict in verdicts:
            _print(file, verdict, console_on(stdout))
    if bad := [str(file) for file, verdict in verdicts if not verdict.holds]:
        raise CommandError(f"does not hold: {', '.join(bad)}")


@contextmanager
def _stage(engine: bool) -> Iterator[Stage | None]:
    if not engine:
        yield None
        return
    try:
        with temporary_database():
            yield play_on_engine
    except (DatabaseError, SystemExit) as error:
        raise CommandError(
            f"No database could be made to play on: {error}. Without rights on this server: "
            "python -m config.embedded exec --temporary -- python manage.py saga verify --engine"
        ) from error


def _print(file: Path, verdict: Verdict, console: Console) -> None:
    console.print(f"{verdict.name} ({file})", style="bold", highlight=False)
    table = Table("", "played", "step", "ended", "compensations that ran")
    for line in verdict.lines:
        if line.scenario:
            _add(table, line, line.scenario)
    for line in _rest(verdict):
        _add(table, line, line.trouble)
    console.print(table)
    for invariant in verdict.invariants:
        mark = {True: "ok", False: "NO", None: " ?"}[invariant.holds]
        text = f"{mark}  {invariant.text}: {invariant.told}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _rest(verdict: Verdict) -> Iterator[Line]:
    """Give one line for each kind of trouble, and those steps by themselves where it is wrong."""
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in verdict.lines:
        if not line.scenario:
            groups[line.trouble].append(line)
    for trouble, lines in groups.items():
        good = [line for line in lines if line.holds]
        ends = ", ".join(sorted({line.ended for line in good}))
        if good:
            names = good[0].step if len(good) == 1 else f"each of {len(good)} steps"
            yield Line(names, trouble, "", ends, (), ())
        yield from (line for line in lines if not line.holds)


def _add(table: Table, line: Line, what: str) -> None:
    ran = ", ".join(line.ran) or ("none" if line.scenario and line.ended else "")
    table.add_row("ok" if line.holds else "NO", what, line.step, line.ended, ran)
    for problem in line.problems:
        table.add_row("", "", "", "", f"→ {problem}")
