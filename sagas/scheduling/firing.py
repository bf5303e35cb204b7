"""What happens when beat fires a schedule: at most one saga per slot, however often it fires."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from django.db import transaction
from django_celery_beat.models import PeriodicTask

from sagas.engine import statements
from sagas.exceptions import DefinitionNotFound, InvalidInput, InvalidSchedule
from sagas.scheduling.plans import read_plan, schedules, write_plan, zone_of
from sagas.scheduling.slots import slots_until
from sagas.starting import Started, start_many

logger = logging.getLogger(__name__)


def fire(schedule: int, fired_at: datetime | None = None) -> list[Started]:
    """Start what the newest slot calls for, and missed ones if the schedule makes them up.

    Safe to call any number of times. `fired_at` is beat's own time: by another clock the slot
    might not have begun. A schedule that cannot start anything is disabled and says why.
    """
    row = schedules().filter(pk=schedule, enabled=True).first()
    if row is None:
        return []
    moment = fired_at or datetime.fromtimestamp(statements.read_clock(), UTC)
    try:
        with transaction.atomic():
            return _start(row, moment)
    except (DefinitionNotFound, InvalidInput, InvalidSchedule) as problem:
        _stop(row, str(problem))
        return []


def _start(row: PeriodicTask, moment: datetime) -> list[Started]:
    plan, zone = read_plan(row), zone_of(row)
    since = datetime.fromisoformat(plan.since)
    slots = [slot for slot in slots_until(row, moment, 1 + plan.make_up) if slot >= since]
    # A conflict says that the slot has had its saga before the schedule was edited.
    starts = [plan.start(slot, zone) for slot in reversed(slots)]
    return start_many(plan.definition, starts, version=plan.version)


def _stop(row: PeriodicTask, problem: str) -> None:
    """Disable a schedule, with the reason on its row, where its page shows it."""
    logger.warning("The schedule %s is disabled: %s", row.name, problem)
    row.enabled = False
    try:
        write_plan(row, read_plan(row)._replace(problem=problem))
    except InvalidSchedule:
        row.description = problem
    row.save()
