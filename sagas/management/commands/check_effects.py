"""Compare the example sagas with what their participants' own tables say."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.table import Table

from examples.check_orders import Finding, Report, SagaRow, StepRow, read_effects, verdict
from sagas.core import definition as core
from sagas.core import state
from sagas.management.terminal import console_on
from sagas.models import Definition, Saga


class Command(BaseCommand):
    help = "Prove that every order is wholly done, wholly undone, or failed and waiting."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--definition", help="only sagas of this name")
        parser.add_argument(
            "--data",
            type=Path,
            default=settings.SAGADESK_HOME / "participants",
            help="folder of the participants' SQLite files (default: the demo's)",
        )
        parser.add_argument(
            "--allow-moving", action="store_true", help="sagas under way are no reason to fail"
        )
        parser.add_argument(
            "--show", type=int, default=20, help="lines per list (default: 20; 0: no lists)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        data: Path = options["data"]
        if not any(data.glob("*.sqlite3")):
            raise CommandError(f"{data} holds no tables of participants.")
        report = compare(data, options["definition"])
        self._print(report, show=options["show"])
        if report.violations:
            raise CommandError(f"{len(report.violations)} violations.")
        if report.moving and not options["allow_moving"]:
            raise CommandError(f"{len(report.moving)} sagas are not at an end yet.")

    def _print(self, report: Report, *, show: int) -> None:
        console = console_on(cast("TextIO", self.stdout))
        table = Table("Status", "Sagas", "Effects that stand")
        for column in table.columns[1:]:
            column.justify = "right"
        for status in Saga.Status:
            if status in report.sagas:
                counts = report.sagas[status], report.standing[status]
                table.add_row(str(status.label), *(f"{count:,}" for count in counts))
        console.print(table)
        lists = {
            "Violations": report.violations,
            "Stopped": report.stopped,
            "Under way": report.moving,
        }
        for title, findings in lists.items():
            if findings and show > 0:
                console.print(list_of(title, findings, show=show))


def list_of(title: str, findings: list[Finding], *, show: int) -> Table:
    left = len(findings) - show
    table = Table(
        "Business key", "", title=title, caption=f"and {left:,} more" if left > 0 else None
    )
    for finding in findings[:show]:
        table.add_row(finding.business_key, finding.what)
    return table


def compare(data: Path, name: str | None = None) -> Report:
    """Compare the stored sagas (of one definition, or all) with the tables in a folder.

    Safe while sagas run: what is read of a saga first is only confirmed by effects read later.
    """
    sagas = list(read_sagas(data, name))
    effects = list(read_effects(data))
    known = {saga.id for saga in sagas}
    # Sagas of other definitions, and those that began after the first look.
    elsewhere = ids_among({effect.saga_id for effect in effects} - known)
    return verdict(sagas, (effect for effect in effects if effect.saga_id not in elsewhere))


def read_sagas(data: Path, name: str | None) -> Iterator[SagaRow]:
    compared = {file.stem for file in data.glob("*.sqlite3")}
    definitions = Definition.objects.all() if name is None else Definition.objects.filter(name=name)
    steps_of = {row.pk: row.as_core().steps for row in definitions}
    if name and not steps_of:
        raise CommandError(f"There is no definition {name}.")
    # Only sagas that have to do with these participants.
    steps_of = {
        pk: steps
        for pk, steps in steps_of.items()
        if any(step.participant in compared for step in steps)
    }
    rows = Saga.objects.filter(definition__in=steps_of).values_list(
        "id", "business_key", "status", "definition_id", "state", "version"
    )
    for pk, business_key, status, definition, data_of_state, version in rows.iterator():
        states = state.from_json(data_of_state, version=version).steps
        steps = tuple(
            step_row(step, step_state)
            for step, step_state in zip(steps_of[definition], states, strict=True)
            if step.participant in compared
        )
        yield SagaRow(str(pk), business_key, status, steps)


def step_row(step: core.Step, step_state: state.StepState) -> StepRow:
    undoable = step.compensation is not None
    return StepRow(step.name, step_state.status, undoable, step_state.generation + 1)


def ids_among(saga_ids: set[str]) -> set[str]:
    """Return those of the ids that are stored sagas."""
    ids = sorted(filter(is_uuid, saga_ids))
    found: set[str] = set()
    for start in range(0, len(ids), 1_000):
        chunk = ids[start : start + 1_000]
        found.update(
            map(str, Saga.objects.filter(pk__in=chunk).values_list("pk", flat=True).iterator())
        )
    return found


def is_uuid(text: str) -> bool:
    """Tell ids of the engine from what somebody wrote into a call by hand."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
