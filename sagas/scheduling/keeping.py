"""What operators and programs do with schedules: set, enable, disable, remove, list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from celery.schedules import ParseException
from django.core.exceptions import ValidationError
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from outbox.audit import Actor, log_verb
from sagas import catalogue
from sagas.definitions.durations import read_duration
from sagas.engine import statements
from sagas.exceptions import InvalidSchedule, ScheduleNotFound
from sagas.models import Saga
from sagas.scheduling.plans import Plan, key_of, read_plan, schedules, write_plan, zone_of
from sagas.scheduling.slots import slot_after, slots_until
from sagas.starting import encode_input

SHOWN_SLOTS = 10
# A firing that no worker has taken is dropped when the next one comes, at the latest after an hour.
LONGEST_LIFE_S = 3_600


class Setting(NamedTuple):
    """A schedule as it is to be: a crontab of five fields, or an interval such as 15m."""

    name: str
    definition: str
    business_key: str
    input: Any = None
    cron: str = ""
    every: str = ""
    timezone: str = "UTC"
    version: int | None = None
    tenant: str = ""
    priority: str = ""
    make_up: int = 0


class Schedule(NamedTuple):
    """A schedule as it is; `plan` is None where its arguments cannot be read."""

    row: PeriodicTask
    plan: Plan | None
    problem: str
    next_at: datetime | None

    @property
    def when(self) -> str:
        """Return its crontab, or its interval."""
        if self.row.crontab is None:
            return f"every {self.row.interval.every} {self.row.interval.period}"
        plan = self.row.crontab
        fields = (plan.minute, plan.hour, plan.day_of_month, plan.month_of_year, plan.day_of_week)
        return " ".join(fields)

    @property
    def zone(self) -> str:
        return str(zone_of(self.row))


def read_schedules() -> list[Schedule]:
    """Return all schedules by name."""
    now = _now()
    return [_read(row, now) for row in schedules().order_by("name")]


def find_schedule(name: str) -> Schedule:
    """Return a schedule. Raises ScheduleNotFound."""
    return _read(_find(name), _now())


def started_by(schedule: Schedule) -> list[tuple[datetime, Saga | None]]:
    """Return the newest slots and the saga that each has started, newest first."""
    slots = slots_until(schedule.row, _now(), SHOWN_SLOTS)
    keys = {key_of(schedule.row.pk, slot): slot for slot in slots}
    sagas = Saga.objects.filter(start__idempotency_key__in=keys).select_related("start")
    found = {keys[saga.start.idempotency_key or ""]: saga for saga in sagas}
    return [(slot, found.get(slot)) for slot in slots]


def set_schedule(setting: Setting, *, actor: Actor, reason: str) -> Schedule:
    """Create a schedule, or change the one of this name, which stays enabled or not.

    Raises InvalidSchedule, InvalidInput and DefinitionNotFound.
    """
    _check_reason(reason)
    with transaction.atomic():
        known = schedules().filter(name=setting.name).first()
        row = known or PeriodicTask(name=setting.name, task="sagas.start_scheduled")
        row.crontab, row.interval = _when(setting)
        now = _now()
        plan = _plan(setting, _since(known, now))
        _check(row, plan, now)
        row.description, row.expire_seconds = "", _life_s(row, now)
        try:
            row.full_clean(exclude=["headers", "args", "kwargs"])
        except ValidationError as error:
            raise InvalidSchedule(" ".join(error.messages)) from error
        row.save()
        # Only now it has the id that its sagas' keys are made of.
        write_plan(row, plan)
        row.save()
        log_verb(actor, [row], "set", reason)
    return _read(row, now)


def enable_schedule(name: str, *, actor: Actor, reason: str) -> Schedule:
    """Let a schedule start sagas from now on; what it missed meanwhile is not made up."""
    _check_reason(reason)
    with transaction.atomic():
        row = _find(name)
        if not row.enabled:
            plan, now = read_plan(row), _now()
            plan = plan._replace(since=now.isoformat(), problem="")
            _check(row, plan, now)
            row.enabled, row.description = True, ""
            write_plan(row, plan)
            row.save()
            log_verb(actor, [row], "enable", reason)
    return _read(row, _now())


def disable_schedule(name: str, *, actor: Actor, reason: str) -> Schedule:
    """Let a schedule start nothing more; the sagas it has started go on."""
    _check_reason(reason)
    with transaction.atomic():
        row = _find(name)
        if row.enabled:
            row.enabled = False
            row.save()
            log_verb(actor, [row], "disable", reason)
    return _read(row, _now())


def remove_schedule(name: str, *, actor: Actor, reason: str) -> None:
    """Remove a schedule; the sagas it has started go on."""
    _check_reason(reason)
    with transaction.atomic():
        row = _find(name)
        log_verb(actor, [row], "remove", reason)
        row.delete()


def _read(row: PeriodicTask, now: datetime) -> Schedule:
    next_at = slot_after(row, now) if row.enabled else None
    try:
        plan = read_plan(row)
    except InvalidSchedule as problem:
        return Schedule(row, None, row.description or str(problem), next_at)
    return Schedule(row, plan, plan.problem, next_at)


def _find(name: str) -> PeriodicTask:
    row = schedules().filter(name=name).first()
    if row is None:
        raise ScheduleNotFound(name)
    return row


def _now() -> datetime:
    return datetime.fromtimestamp(statements.read_clock(), UTC)


def _plan(setting: Setting, since: str) -> Plan:
    wanted = setting._asdict()
    return Plan(since=since, **{name: wanted[name] for name in wanted if name in Plan._fields})


def _since(known: PeriodicTask | None, now: datetime) -> str:
    """Return since when slots count: for a new schedule, or an unreadable one, from now on."""
    try:
        return read_plan(known).since if known else now.isoformat()
    except InvalidSchedule:
        return now.isoformat()


def _check(row: PeriodicTask, plan: Plan, now: datetime) -> None:
    """Refuse what could not start anything."""
    catalogue.find_definition(plan.definition, plan.version)
    slot = slot_after(row, now)
    if slot is None:
        raise InvalidSchedule("That time does not come within eight years.")
    write_plan(row, plan)
    encode_input(read_plan(row).start(slot, zone_of(row)))


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise InvalidSchedule("Say why: every verb needs a reason.")


def _when(setting: Setting) -> tuple[CrontabSchedule | None, IntervalSchedule | None]:
    if bool(setting.cron) == bool(setting.every):
        raise InvalidSchedule("Say when: either a crontab or an interval.")
    return (_crontab(setting), None) if setting.cron else (None, _interval(setting.every))


def _crontab(setting: Setting) -> CrontabSchedule:
    fields = setting.cron.split()
    if len(fields) != 5:
        raise InvalidSchedule("A crontab has five fields: minute hour day month weekday.")
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    try:
        zone = ZoneInfo(setting.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidSchedule(f"There is no time zone {setting.timezone!r}.") from error
    wanted: dict[str, Any] = {**dict(zip(names, fields, strict=True)), "timezone": zone}
    row = CrontabSchedule.objects.filter(**wanted).first() or CrontabSchedule(**wanted)
    try:
        row.clean_fields()
        row.schedule  # noqa: B018 — reading it parses the fields
    except (ValidationError, ParseException, ValueError) as error:
        text = " ".join(getattr(error, "messages", None) or [str(error)])
        raise InvalidSchedule(f"{setting.cron!r} is no crontab: {text}") from error
    row.save()
    return row


def _interval(every: str) -> IntervalSchedule:
    try:
        seconds = read_duration(every)
    except ValueError as error:
        raise InvalidSchedule(f"every: {error}.") from error
    if seconds < 1 or seconds != int(seconds):
        raise InvalidSchedule("every must be whole seconds, at least 1s.")
    wanted: dict[str, Any] = {"every": int(seconds), "period": IntervalSchedule.SECONDS}
    return IntervalSchedule.objects.filter(**wanted).first() or IntervalSchedule.objects.create(
        **wanted
    )


def _life_s(row: PeriodicTask, now: datetime) -> int:
    """Return for how long a firing may wait for a worker, until the slot is a missed one."""
    first = slot_after(row, now)
    second = slot_after(row, first) if first else None
    if first is None or second is None:
        return LONGEST_LIFE_S
    return min(LONGEST_LIFE_S, max(1, int((second - first).total_seconds())))
