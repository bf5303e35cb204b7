"""manage.py saga: load definitions, start, look at, check and repair sagas."""

from __future__ import annotations

import os
import sys
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sagas import checking, intake
from sagas.catalogue import find_definition, store_definition
from sagas.definitions import DefinitionError, read_yaml
from sagas.definitions import Saga as SagaClass
from sagas.engine.driver import Driver
from sagas.engine.lanes import Priority
from sagas.exceptions import SagaError
from sagas.management.saga_graph import add_graph, graph
from sagas.management.saga_list import add_list, list_sagas
from sagas.management.saga_lookup import find_saga
from sagas.management.saga_replies import add_replies, consume_replies
from sagas.management.saga_schedule import add_schedule, schedule
from sagas.management.saga_show import add_show, history, show
from sagas.management.saga_tail import add_tail, tail
from sagas.management.saga_verbs import add_verbs, give, signal
from sagas.management.saga_verify import add_verify, verify_files
from sagas.management.terminal import console_on
from sagas.models import Definition, Saga
from sagas.participants.directory import lost_commands
from sagas.retention import retaining

# How often `drive` looks again while it has time left.
SWEEP_S = 0.2
EPILOG = """
  manage.py saga load examples/definitions/travel-booking.yaml
  manage.py saga start orders.csv --definition ecommerce-order --key OrderNo --wait
  manage.py saga list --status failed
  manage.py saga show ORDER-00017
  manage.py saga tail --definition ecommerce-order
  manage.py saga retry 0198... --reason "the hotel is back"
  manage.py saga rewind TRIP-1 --step reserveHotel --reason "wrong dates" --dry-run
  manage.py saga signal ORDER-7 picked_up --data '{"by": "courier"}'
  manage.py saga check
  manage.py saga graph examples/definitions/parallel-trip.yaml --output trip.svg
  manage.py saga verify examples/definitions/*.yaml
  manage.py saga retain --dry-run
"""


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = EPILOG
        commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        load = commands.add_parser("load", help="store definitions from YAML files or classes")
        load.add_argument("source", nargs="+", help="FILE.yaml or package.module:Class")
        start = commands.add_parser("start", help="start one saga per row of a CSV or JSONL file")
        start.add_argument("file", type=Path)
        start.add_argument("--definition", required=True)
        start.add_argument("--version-number", type=int, help="default: the newest")
        start.add_argument("--key", required=True, help="the field that is the business key")
        start.add_argument("--tenant", default="", help="for whom; tenants take turns")
        start.add_argument(
            "--priority", choices=["high", "normal", "low"], help="default: the definition's own"
        )
        start.add_argument("--at", type=_moment, help="not before, as 2027-03-14T09:00:00+09:00")
        start.add_argument("--text", action="store_true", help="leave numbers in CSV as text")
        start.add_argument("--wait", action="store_true", help="until each has ended or failed")
        add_list(commands)
        add_show(commands)
        add_tail(commands)
        check = commands.add_parser("check", help="prove that rows and journals agree")
        check.add_argument("saga", nargs="*", help="ids or business keys; default: all")
        drive = commands.add_parser("drive", help="drive what is due in this very process")
        drive.add_argument(
            "--seconds", type=float, default=0.0, help="how long; default: until nothing is due"
        )
        retain = commands.add_parser("retain", help="archive or drop what ended long ago, by rule")
        retain.add_argument("--dry-run", action="store_true", help="only say what would go")
        retain.add_argument(
            "--seconds", type=float, default=float("inf"), help="how long; default: until done"
        )
        add_graph(commands)
        add_verify(commands)
        add_replies(commands)
        add_schedule(commands)
        add_verbs(commands)

    def handle(self, *args: Any, **options: Any) -> None:
        self.console = console_on(cast("TextIO", self.stdout))
        given = Namespace(**options)
        try:
            if "verb" in options:
                give(given, find_saga, cast("TextIO", self.stdout))
            else:
                getattr(self, f"_{given.command.replace('-', '_')}")(given)
            self.stdout.flush()
        except BrokenPipeError:
            # Whoever read it has read enough, as `head` does. What is left must go somewhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (SagaError, DefinitionError, OSError) as error:
            raise CommandError(str(error)) from error

    def _load(self, given: Namespace) -> None:
        for source in given.source:
            row, created = _load_one(source)
            word = "stored" if created else "is stored already"
            self.stdout.write(f"{row} {word}")
            for lost in lost_commands(row.as_core()):
                self.stderr.write(f"{row}: no route of the outbox takes {lost}; add one.")

    def _signal(self, given: Namespace) -> None:
        signal(given, find_saga, cast("TextIO", self.stdout))

    def _graph(self, given: Namespace) -> None:
        graph(given, cast("TextIO", self.stdout))

    def _verify(self, given: Namespace) -> None:
        verify_files(given, cast("TextIO", self.stdout))

    def _consume_replies(self, given: Namespace) -> None:
        consume_replies(given)

    def _schedule(self, given: Namespace) -> None:
        schedule(given, self.console.print)

    def _start(self, given: Namespace) -> None:
        find_definition(given.definition, given.version_number)
        began, started, known, bad = time.perf_counter(), 0, 0, 0
        with self._bar(given.file.stat().st_size, given.file.name) as advance:
            for progress in intake.start_file(
                given.file,
                definition=given.definition,
                key=given.key,
                version=given.version_number,
                as_text=given.text,
                tenant=given.tenant,
                priority=Priority[given.priority.upper()] if given.priority else None,
                at=given.at,
            ):
                started, known = started + progress.started, known + progress.known
                for row in progress.bad:
                    bad += 1
                    self.stderr.write(f"{given.file}:{row.line}: {row.why}")
                advance(progress.position)
        took = time.perf_counter() - began
        self.stdout.write(
            f"{started:,} started, {known:,} started before, {bad:,} bad rows in {took:.1f} s"
        )
        if given.wait:
            self._wait(given.definition)
        if bad:
            sys.exit(1)

    def _bar(self, total: int, name: str) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def bar() -> Any:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
                task = progress.add_task(name, total=total)
                yield lambda position: progress.update(task, completed=position)

        return bar()

    def _wait(self, definition: str) -> None:
        moving = Saga.objects.moving().filter(definition__name=definition, paused=False)
        left = total = moving.count()
        with self._bar(total, "driving") as advance:
            while left:
                time.sleep(0.5)
                left = moving.count()
                advance(total - left)
        for status, label in Saga.Status.choices:
            count = Saga.objects.filter(definition__name=definition, status=status).count()
            if count:
                self.stdout.write(f"{count:,} {label}")

    def _list(self, given: Namespace) -> None:
        list_sagas(given, cast("TextIO", self.stdout))

    def _show(self, given: Namespace) -> None:
        show(given, cast("TextIO", self.stdout))

    def _history(self, given: Namespace) -> None:
        history(given, cast("TextIO", self.stdout))

    def _tail(self, given: Namespace) -> None:
        tail(given, cast("TextIO", self.stdout))

    def _check(self, given: Namespace) -> None:
        ids = [find_saga(text).pk for text in given.saga] or None
        findings = [*checking.check_sagas(ids)]
        if not ids:
            findings += [*checking.stuck_sagas(), *checking.stray_locks()]
        for finding in findings:
            self.stderr.write(
                f"{finding.saga_id} {finding.business_key}: {finding.kind}: {finding.message}"
            )
        if findings:
            raise CommandError(f"{len(findings):,} findings")
        self.stdout.write("Every row is the fold of its journal; nothing is stuck.")

    def _drive(self, given: Namespace) -> None:
        """Do a worker's work without a broker, for the time that Redis is away."""
        driver, until = Driver(), time.monotonic() + given.seconds
        try:
            while driver.drive() or time.monotonic() < until:
                time.sleep(SWEEP_S)
        finally:
            driver.close()
        self.stdout.write("Nothing is due any more." if not given.seconds else "The time is up.")

    def _retain(self, given: Namespace) -> None:
        if given.dry_run:
            table = Table("definition", "status", "sagas", "would be", "rule")
            for due in retaining.due():
                rule = f"{due.rule.definition}, {due.rule.keep_days} days"
                source = "" if due.rule.id else " (settings)"
                did = retaining.DONE[due.rule.action]
                table.add_row(due.definition, due.status, str(due.sagas), did, rule + source)
            self.console.print(table if table.row_count else "Nothing has to go.")
            return
        done = retaining.retain(budget_s=given.seconds)
        words = ", ".join(f"{count:,} {what}" for what, count in done.items())
        self.stdout.write(words or "Nothing had to go.")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() is None:
        raise ValueError(text)
    return moment


def _load_one(source: str) -> tuple[Definition, bool]:
    module, _, name = source.partition(":")
    if name and not Path(source).exists():
        try:
            found = getattr(import_module(module), name, None)
        except ImportError as error:
            raise CommandError(f"{source} cannot be imported: {error}") from error
        if not (isinstance(found, type) and issubclass(found, SagaClass)):
            raise CommandError(f"{source} is no saga class.")
        return store_definition(found.definition(), format=Definition.Format.PYTHON)
    text = Path(source).read_text(encoding="utf-8")
    definition = read_yaml(text, filename=source)
    return store_definition(definition, format=Definition.Format.YAML, source=text)
