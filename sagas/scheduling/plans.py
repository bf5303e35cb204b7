"""What a schedule starts: kept as the arguments of a PeriodicTask of django-celery-beat.

{"schedule": 7, "definition": "nightly-report", "input": {}, "business_key": "report-{date}",
 "since": "2027-03-14T00:00:00+00:00", "version": 2, "tenant": "", "priority": "low",
 "make_up": 0, "problem": "why it was disabled"}
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask

from sagas.engine.lanes import Priority
from sagas.exceptions import InvalidSchedule
from sagas.starting import Start

TASK = "sagas.start_scheduled"
MOST_MADE_UP = 100
PRIORITIES = ("high", "normal", "low")
_PLACE = re.compile(r"\{(\w*)\}")
_FORMATS = {"date": "%Y-%m-%d", "time": "%H%M"}


class Plan(NamedTuple):
    """What to start at each slot, and since when slots count.

    `{date}`, `{time}` and `{slot}` in the business key are the slot's, in the schedule's time zone.
    `make_up` says how many missed slots are made up at most.
    """

    definition: str
    business_key: str
    since: str
    input: Any = None
    version: int | None = None
    tenant: str = ""
    priority: str = ""
    make_up: int = 0
    # Why it was disabled by itself.
    problem: str = ""
    schedule: int = 0

    def start(self, slot: datetime, zone: ZoneInfo) -> Start:
        """Return what a slot calls for: whoever asks again gets the same saga."""
        return Start(
            fill(self.business_key, slot.astimezone(zone)),
            self.input,
            key_of(self.schedule, slot),
            self.tenant,
            Priority[self.priority.upper()] if self.priority else None,
        )


def key_of(schedule: int, slot: datetime) -> str:
    """Return the idempotency key of a slot; `slot` is in UTC."""
    return f"schedule/{schedule}/{slot:%Y-%m-%dT%H:%M:%SZ}"


def fill(template: str, slot: datetime) -> str:
    """Return a business key. Raises InvalidSchedule for a place that nobody knows."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name == "slot":
            return slot.isoformat()
        if name not in _FORMATS:
            raise InvalidSchedule(f"{match[0]} is none of {{date}}, {{time}}, {{slot}}.")
        return slot.strftime(_FORMATS[name])

    return _PLACE.sub(value, template)


def schedules() -> QuerySet[PeriodicTask]:
    """Return the rows that start sagas."""
    rows = PeriodicTask.objects.filter(task=TASK, solar=None, clocked=None)
    chosen: QuerySet[PeriodicTask] = rows.select_related("crontab", "interval")
    return chosen


def read_plan(row: PeriodicTask) -> Plan:
    """Return what a row starts. Raises InvalidSchedule, for rows that were edited by hand."""
    try:
        plan = Plan(**json.loads(row.kwargs))
        datetime.fromisoformat(plan.since)
    except (ValueError, TypeError) as error:
        raise InvalidSchedule(f"Its arguments cannot be read: {error}") from error
    if plan.priority and plan.priority not in PRIORITIES:
        raise InvalidSchedule(f"priority {plan.priority!r} is none of {', '.join(PRIORITIES)}.")
    if not isinstance(plan.make_up, int) or not 0 <= plan.make_up <= MOST_MADE_UP:
        raise InvalidSchedule(f"make_up must be a number from 0 to {MOST_MADE_UP}.")
    return plan._replace(schedule=row.pk)


def write_plan(row: PeriodicTask, plan: Plan) -> None:
    """Put a plan into a row, which the caller saves."""
    row.kwargs = json.dumps(plan._replace(schedule=row.pk or 0)._asdict(), ensure_ascii=False)


def zone_of(row: PeriodicTask) -> ZoneInfo:
    return row.crontab.timezone if row.crontab is not None else ZoneInfo("UTC")
