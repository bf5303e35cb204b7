"""manage.py saga list: the newest sagas, page by page."""

from __future__ import annotations

import json
import uuid
from argparse import Namespace
from typing import Any, TextIO

from django.db.models import QuerySet
from rich.console import Group
from rich.padding import Padding
from rich.table import Table

from sagas import searching
from sagas.management.terminal import width_of, write_table
from sagas.models import Definition, Saga

# From this many columns on, what is wrong has a readable column of its own.
ROOMY = 120


def add_list(commands: Any) -> None:
    """Add the command to those of `manage.py saga`."""
    parser = commands.add_parser("list", help="the newest sagas")
    parser.add_argument("--status", choices=Saga.Status.values)
    parser.add_argument("--definition", help="the definition's name")
    parser.add_argument("--version-number", type=int, help="the definition's version")
    parser.add_argument("--key", metavar="PREFIX", help="how the business key begins")
    parser.add_argument("--tenant")
    parser.add_argument("--step", help="the step that failed")
    parser.add_argument("--paused", action="store_true", help="only what is paused")
    parser.add_argument("--search", action="append", metavar="NAME=VALUE")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--after", type=uuid.UUID, metavar="ID", help="those that follow this one")
    parser.add_argument("--json", action="store_true", help="one line of JSON per saga")


def list_sagas(given: Namespace, stdout: TextIO) -> None:
    """Write the sagas, newest first, and how to get those that follow."""
    rows = _narrow(Saga.objects.select_related("definition").order_by("-pk"), given)
    page = list(rows.defer("state")[: given.limit + 1])
    shown = page[: given.limit]
    if given.json:
        for saga in shown:
            stdout.write(json.dumps(_to_json(saga), ensure_ascii=False) + "\n")
        return
    write_table(_table(shown, is_roomy=width_of(stdout) >= ROOMY), stdout)
    if len(page) > given.limit:
        stdout.write(f"There are more: --after {shown[-1].pk}\n")


def _table(sagas: list[Saga], *, is_roomy: bool) -> Table:
    """Return a line for each saga; where there is no room, what is wrong stands below its id."""
    table = Table(box=None, pad_edge=False, padding=(0, 2 if is_roomy else 1, 0, 0))
    # Ids are there to be copied: other columns give way.
    table.add_column("id", width=36, overflow="fold")
    for name in ("business key" if is_roomy else "key", "definition", "status"):
        table.add_column(name, overflow="fold")
    if is_roomy:
        table.add_column("what is wrong", overflow="fold")
    for saga in sagas:
        wrong = ": ".join(filter(None, (saga.failed_step, saga.error_message)))
        wrong = " ".join(wrong.split())
        status = f"{saga.status}, paused" if saga.paused else saga.status
        named = [saga.business_key, str(saga.definition), status]
        if is_roomy:
            table.add_row(str(saga.pk), *named, wrong)
        else:
            below = Padding(wrong, (0, 0, 0, 2))
            table.add_row(Group(str(saga.pk), below) if wrong else str(saga.pk), *named)
    return table


def _narrow(sagas: QuerySet[Saga], given: Namespace) -> QuerySet[Saga]:
    equal = {"status": given.status, "failed_step": given.step, "start__tenant": given.tenant}
    sagas = sagas.filter(**{field: value for field, value in equal.items() if value})
    if given.definition or given.version_number:
        sagas = sagas.filter(definition_id__in=_definitions(given))
    if given.key:
        sagas = sagas.filter(business_key__startswith=given.key)
    if given.paused:
        sagas = sagas.filter(paused=True)
    if given.search:
        sagas = searching.narrow(sagas, searching.read_pairs(given.search))
    return sagas.filter(pk__lt=given.after) if given.after else sagas


def _definitions(given: Namespace) -> list[int]:
    """A few ids instead of a join: the list keeps its order by key."""
    definitions = Definition.objects.all()
    if given.definition:
        definitions = definitions.filter(name=given.definition)
    if given.version_number:
        definitions = definitions.filter(version=given.version_number)
    return list(definitions.values_list("pk", flat=True))


def _to_json(saga: Saga) -> dict[str, Any]:
    return {
        "id": str(saga.pk),
        "business_key": saga.business_key,
        "definition": saga.definition.name,
        "version": saga.definition.version,
        "status": saga.status,
        "paused": saga.paused,
        "failed_step": saga.failed_step,
        "error": saga.error_message,
        "created_at": saga.created_at.isoformat(),
        "updated_at": saga.updated_at.isoformat(),
    }
