"""What workers need and do not have, told to whoever looks at the console.

A worker that does not know a callable, or cannot read a definition, leaves the saga queued for one
that does. Nobody would notice; so workers note what they miss and report it, at most once a second.
The reports are in Redis, like other signs of life: without it they are lost until it is back.
"""

from __future__ import annotations

import json
import time
from enum import StrEnum
from typing import Any, NamedTuple

from outbox.quick_redis import RestingRedis, client, key

KEY = "missing"
KEY_LIFE_S = 86_400
REPORT_EVERY_S = 1.0
# What is still missing is met again within a minute.
FRESH_S = 90.0


class Kind(StrEnum):
    # A callable, or the participant's address.
    ACTION = "action"
    # A route for the commands of a participant that is reached by messages.
    ROUTE = "route"
    # A version of a definition that a newer release wrote.
    DEFINITION = "definition"


class Missing(NamedTuple):
    """What is missing: (participant, action), of a route, too, or (definition, version)."""

    kind: Kind
    name: str
    detail: str


class Report(NamedTuple):
    """Something that workers have missed lately; `since` in Unix seconds."""

    missing: Missing
    since: float


_noted: set[Missing] = set()
_reported_at = float("-inf")
_redis = RestingRedis("Redis takes no reports of what is missing (%d lost)")


def note(missing: Missing) -> None:
    """Remember something for the next report."""
    _noted.add(missing)


def report() -> None:
    """Report what has been noted; costs nothing when nothing is missing, never raises for Redis."""
    global _reported_at
    if not _noted or time.monotonic() - _reported_at < REPORT_EVERY_S:
        return
    _reported_at = time.monotonic()
    noted = sorted(_noted)
    _noted.clear()
    _redis.run(lambda: _write(noted))


def reports() -> list[Report]:
    """Return what workers have missed lately, the longest missing first."""
    stored = _redis.run(lambda: client().hgetall(key(KEY))) or {}
    now = time.time()
    rows = [
        Report(_decode(field), since)
        for field, (since, seen) in ((field, json.loads(value)) for field, value in stored.items())
        if now - seen < FRESH_S
    ]
    return sorted(rows, key=lambda row: row.since)


def forget() -> None:
    """Be as a process that has just started; for tests."""
    global _reported_at
    _noted.clear()
    _reported_at = float("-inf")


def _write(noted: list[Missing]) -> None:
    now = time.time()
    fields = [json.dumps(missing) for missing in noted]
    # Two workers that write at once write the same, but for a moment.
    stored = client().hmget(key(KEY), fields)
    values: dict[Any, Any] = {
        field: json.dumps([_since(value, now), now])
        for field, value in zip(fields, stored, strict=True)
    }
    client().hset(key(KEY), mapping=values)
    client().expire(key(KEY), KEY_LIFE_S)


def _since(stored: bytes | str | None, now: float) -> float:
    """Return since when it has been missing; after a silence it begins anew."""
    if stored is None:
        return now
    since, seen = json.loads(stored)
    return float(since) if now - seen < FRESH_S else now


def _decode(field: bytes) -> Missing:
    kind, name, detail = json.loads(field)
    return Missing(Kind(kind), name, detail)
