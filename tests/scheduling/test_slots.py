"""The times that schedules name, whenever beat happens to fire."""

from __future__ import annotations

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from sagas.scheduling.slots import slot_after, slots_until
from tests.scheduling.builders import at


def crontab(text: str, timezone: str = "UTC") -> PeriodicTask:
    minute, hour, day, month, weekday = text.split()
    schedule = CrontabSchedule(
        minute=minute,
        hour=hour,
        day_of_month=day,
        month_of_year=month,
        day_of_week=weekday,
        timezone=timezone,
    )
    schedule.clean_fields()
    return PeriodicTask(crontab=schedule)


def interval(seconds: int) -> PeriodicTask:
    return PeriodicTask(interval=IntervalSchedule(every=seconds, period="seconds"))


@pytest.mark.parametrize(
    ("text", "moment", "slot"),
    [
        ("0 3 * * *", "2026-11-21T03:00:00.010Z", "2026-11-21T03:00Z"),
        ("0 3 * * *", "2026-11-21T02:59:59.999Z", "2026-11-20T03:00Z"),
        ("*/15 * * * *", "2026-11-21T10:44:59Z", "2026-11-21T10:30Z"),
        ("30 8 1 * *", "2026-11-21T10:00Z", "2026-11-01T08:30Z"),
        ("0 0 29 2 *", "2027-11-21T10:00Z", "2024-02-29T00:00Z"),
        # 2026-11-21 is a Saturday.
        ("0 9 * * 1-5", "2026-11-21T10:00Z", "2026-11-20T09:00Z"),
        ("0 9 * * 0", "2026-11-21T10:00Z", "2026-11-15T09:00Z"),
    ],
)
def test_the_newest_slot_of_a_crontab(text: str, moment: str, slot: str) -> None:
    assert slots_until(crontab(text), at(moment), 1) == [at(slot)]


def test_slots_go_back_one_by_one() -> None:
    slots = slots_until(crontab("0 6,18 * * *"), at("2026-11-21T10:00Z"), 3)

    assert slots == [at("2026-11-21T06:00Z"), at("2026-11-20T18:00Z"), at("2026-11-20T06:00Z")]


def test_a_crontab_speaks_of_its_own_time_zone() -> None:
    [slot] = slots_until(crontab("0 9 * * *", "Asia/Seoul"), at("2026-11-21T10:00Z"), 1)

    assert slot == at("2026-11-21T09:00+09:00")


def test_a_time_that_the_clocks_skip_is_no_slot() -> None:
    """In Berlin 02:30 does not exist on 2026-03-29."""
    [slot] = slots_until(crontab("30 2 * * *", "Europe/Berlin"), at("2026-03-29T10:00Z"), 1)

    assert slot == at("2026-03-28T02:30+01:00")


def test_a_time_that_comes_twice_is_one_slot_of_a_daily_schedule() -> None:
    """In Berlin 02:30 comes twice on 2026-10-25."""
    daily = crontab("30 2 * * *", "Europe/Berlin")

    slots = slots_until(daily, at("2026-10-25T10:00Z"), 2)

    assert slots == [at("2026-10-25T00:30Z"), at("2026-10-24T00:30Z")]


def test_a_time_that_comes_twice_is_two_slots_of_an_hourly_schedule() -> None:
    hourly = crontab("30 * * * *", "Europe/Berlin")

    slots = slots_until(hourly, at("2026-10-25T02:40Z"), 3)

    assert slots == [at(f"2026-10-25T0{hour}:30Z") for hour in (2, 1, 0)]


def test_slots_of_an_interval_lie_on_one_grid_for_everybody() -> None:
    row = interval(3_600)

    assert slots_until(row, at("2026-11-21T10:37:12Z"), 2) == [
        at("2026-11-21T10:00Z"),
        at("2026-11-21T09:00Z"),
    ]
    assert slot_after(row, at("2026-11-21T10:37:12Z")) == at("2026-11-21T11:00Z")


def test_the_next_slot_is_after_the_moment() -> None:
    assert slot_after(crontab("0 3 * * *"), at("2026-11-21T03:00Z")) == at("2026-11-22T03:00Z")


def test_a_leap_day_on_a_monday_is_too_far_away_to_be_a_slot() -> None:
    row = crontab("0 0 29 2 1")

    assert slots_until(row, at("2026-11-21T03:00Z"), 1) == []
    assert slot_after(row, at("2026-11-21T03:00Z")) is None
