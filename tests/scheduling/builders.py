"""Schedules: defaults plus overrides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sagas.scheduling.keeping import Schedule, Setting, set_schedule
from sagas.scheduling.plans import read_plan, write_plan

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def make_schedule(**overrides: Any) -> Schedule:
    """Return a schedule that counts slots since 2026; by default at three every night."""
    fields: dict[str, Any] = {"name": "nightly", "definition": "test", "business_key": "n-{date}"}
    if "every" not in overrides:
        fields["cron"] = "0 3 * * *"
    schedule = set_schedule(Setting(**(fields | overrides)), actor=None, reason="a test")
    write_plan(schedule.row, read_plan(schedule.row)._replace(since=SINCE.isoformat()))
    schedule.row.save()
    return schedule


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)
