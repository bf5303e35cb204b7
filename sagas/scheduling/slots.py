"""The times that a schedule names. A firing starts what the newest of them calls for.

They follow from the schedule alone, not from when beat happens to fire: whoever fires late, twice,
or from two places finds the same slot.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from django_celery_beat.models import PeriodicTask
from django_celery_beat.tzcrontab import TzAwareCrontab

# The 29th of February may be eight years away.
DAYS_SEARCHED = 366 * 8 + 2
DAY = timedelta(days=1)


def slots_until(row: PeriodicTask, moment: datetime, count: int) -> list[datetime]:
    """Return the newest slots up to a moment, newest first; fewer when there are no more."""
    if row.crontab is not None:
        return list(islice(_times(row.crontab.schedule, moment, forwards=False), count))
    every_s = row.interval.schedule.run_every.total_seconds()
    newest = moment.timestamp() // every_s
    return [datetime.fromtimestamp((newest - back) * every_s, UTC) for back in range(count)]


def slot_after(row: PeriodicTask, moment: datetime) -> datetime | None:
    """Return the first slot after a moment."""
    if row.crontab is not None:
        return next(_times(row.crontab.schedule, moment, forwards=True), None)
    every_s = row.interval.schedule.run_every.total_seconds()
    return datetime.fromtimestamp((moment.timestamp() // every_s + 1) * every_s, UTC)


def _times(plan: TzAwareCrontab, moment: datetime, *, forwards: bool) -> Iterator[datetime]:
    """Yield the times of a crontab after a moment, or up to it and backwards."""
    day, step = moment.astimezone(plan.tz).date(), DAY if forwards else -DAY
    for _ in range(DAYS_SEARCHED):
        if _names(plan, day):
            for at in sorted(_of_day(plan, day), reverse=not forwards):
                if (at > moment) == forwards:
                    yield at
        day += step


def _names(plan: TzAwareCrontab, day: date) -> bool:
    return (
        day.month in plan.month_of_year
        and day.day in plan.day_of_month
        and day.isoweekday() % 7 in plan.day_of_week
    )


def _of_day(plan: TzAwareCrontab, day: date) -> set[datetime]:
    """Return the times of one day, in UTC.

    What the clocks skip in spring does not exist. The hour that comes twice in autumn counts twice
    only for what runs every hour.
    """
    folds = (0, 1) if len(plan.hour) == 24 else (0,)
    found = set()
    for hour in plan.hour:
        for minute in plan.minute:
            for fold in folds:
                local = datetime.combine(day, time(hour, minute, fold=fold), plan.tz)
                at = local.astimezone(UTC)
                if at.astimezone(plan.tz).replace(tzinfo=None) == local.replace(tzinfo=None):
                    found.add(at)
    return found
