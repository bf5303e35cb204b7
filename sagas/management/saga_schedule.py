"""manage.py saga schedule: sagas that start by crontab or interval."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from rich.table import Table

from sagas.scheduling import keeping
from sagas.scheduling.keeping import Setting
from sagas.scheduling.plans import PRIORITIES

VERBS = {
    "enable": keeping.enable_schedule,
    "disable": keeping.disable_schedule,
    "remove": keeping.remove_schedule,
}


def add_schedule(commands: Any) -> None:
    """Add the command to those of `manage.py saga`."""
    orders = commands.add_parser("schedule", help="start sagas by schedule")
    orders = orders.add_subparsers(dest="order", required=True, metavar="ORDER")
    orders.add_parser("list", help="all schedules")
    wanted = _with_reason(orders.add_parser("set", help="create or change one"))
    wanted.add_argument("--definition", required=True)
    wanted.add_argument("--key", required=True, help="business key, as report-{date}")
    wanted.add_argument("--input", type=json.loads, default={}, help="JSON")
    wanted.add_argument("--cron", default="", help='"0 3 * * 1-5"')
    wanted.add_argument("--every", default="", help="15m, instead of --cron")
    wanted.add_argument("--timezone", default="UTC")
    wanted.add_argument("--version-number", type=int, help="default: the newest")
    wanted.add_argument("--tenant", default="")
    wanted.add_argument("--priority", choices=PRIORITIES, default="")
    wanted.add_argument("--make-up", type=int, default=0, help="missed starts to make up")
    for verb in VERBS:
        _with_reason(orders.add_parser(verb, help=f"{verb} one"))


def schedule(given: Namespace, write: Any) -> None:
    """Carry out an order. Raises SagaError and CommandError."""
    if given.order == "list":
        write(_table())
        return
    actor = None
    if given.actor:
        actor = get_user_model().objects.filter(username=given.actor).first()
        if actor is None:
            raise CommandError(f"There is no user {given.actor!r}.")
    if given.order == "set":
        found = keeping.set_schedule(_setting(given), actor=actor, reason=given.reason)
        write(f"{found.row.name}: {found.when}, next at {found.next_at}")
    else:
        VERBS[given.order](given.name, actor=actor, reason=given.reason)
        write(f"{given.name}: {given.order}d")


def _with_reason(parser: Any) -> Any:
    parser.add_argument("name")
    parser.add_argument("--reason", required=True)
    parser.add_argument("--as", dest="actor", help="the operator's user name")
    return parser


def _setting(given: Namespace) -> Setting:
    return Setting(
        name=given.name,
        definition=given.definition,
        business_key=given.key,
        input=given.input,
        cron=given.cron,
        every=given.every,
        timezone=given.timezone,
        version=given.version_number,
        tenant=given.tenant,
        priority=given.priority,
        make_up=given.make_up,
    )


def _table() -> Table:
    table = Table("name", "starts", "when", "next at", "state")
    for found in keeping.read_schedules():
        state = found.problem or ("enabled" if found.row.enabled else "disabled")
        starts = found.plan.definition if found.plan else "?"
        when = f"{found.when} {found.zone}"
        table.add_row(found.row.name, starts, when, str(found.next_at or ""), state)
    return table
