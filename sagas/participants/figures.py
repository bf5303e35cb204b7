"""How participants are doing: calls, outages and latency of the last minutes.

Drivers count in memory and hand in what they counted once a second; Redis keeps a hash per
participant and minute. With Redis away the figures of that time are lost, nothing else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import log2
from typing import Any, NamedTuple

from outbox.quick_redis import RestingRedis, client, key, run_script
from sagas.participants.breaker import State
from sagas.participants.shared_limits import key_of

# How far back a page looks, and how long Redis remembers.
MINUTES = 5
LIFE_S = 60 * (MINUTES + 5)
# Two buckets per doubling, from a millisecond to a quarter of an hour.
LAST_BUCKET = 40

resting = RestingRedis("Redis takes no figures of participants (%d times; they are lost)")


class Figures:
    """What one driver has counted since it handed in its figures last."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._handed_in_at = float("-inf")

    def count(self, name: str, seconds: float, outage: bool | None) -> None:
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = Counter()
        counts["calls"] += 1
        counts[f"b{bucket_of(seconds)}"] += 1
        if outage:
            counts["outages"] += 1

    def hand_in(self, *, at_most_every_s: float = 0.0) -> None:
        """Add what was counted to what Redis has, in one round trip. Never raises for Redis."""
        now = time.monotonic()
        if not self._counts or now - self._handed_in_at < at_most_every_s:
            return
        self._handed_in_at = now
        counted, self._counts = self._counts, {}
        args: list[Any] = [LIFE_S]
        for counts in counted.values():
            args.append(len(counts))
            for field, count in counts.items():
                args += [field, count]
        keys = [_key(name) for name in counted]
        resting.run(lambda: run_script(_SCRIPT, keys=keys, args=args))


def bucket_of(seconds: float) -> int:
    """Return the bucket of a latency; bucket n holds those below 2^(n/2) ms."""
    ms = seconds * 1_000
    return 0 if ms < 1 else min(LAST_BUCKET, int(2 * log2(ms)) + 1)


# Redis' clock tells the minute, so that a worker's wrong one does no harm.
_SCRIPT = """
local minute = math.floor(redis.call('TIME')[1] / 60)
local at = 2
for _, name in ipairs(KEYS) do
  local key = name .. ':' .. string.format('%.0f', minute)
  for _ = 1, tonumber(ARGV[at]) do
    redis.call('HINCRBY', key, ARGV[at + 1], ARGV[at + 2])
    at = at + 2
  end
  at = at + 1
  redis.call('EXPIRE', key, ARGV[1])
end
"""


def _key(name: str) -> str:
    return key(f"calls:{name}")


class Condition(NamedTuple):
    """How a participant is doing, as far as Redis knows."""

    breaker: State = State.CLOSED
    # When the breaker came to its state; None when it never left it.
    since: datetime | None = None
    # When an open breaker lets a call through to see.
    until: datetime | None = None
    in_flight: int = 0
    workers: int = 0
    calls_per_minute: float = 0.0
    # Of the last minutes, as the rest; None without a call.
    outage_share: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None


def read_conditions(resets: dict[str, float]) -> dict[str, Condition] | None:
    """Return how participants are doing; None when Redis is away.

    `resets` says of each name when an operator closed its breaker last, in seconds since the
    epoch (0: never): workers may not have heard of it yet.
    """
    clock = resting.run(lambda: client().time())
    if clock is None:
        return None
    now = clock[0] + clock[1] / 1e6
    minutes = range(clock[0] // 60 - MINUTES, clock[0] // 60 + 1)

    def read() -> Any:
        with client().pipeline(transaction=False) as pipe:
            for name in resets:
                pipe.hgetall(key_of(name))
                for minute in minutes:
                    pipe.hgetall(f"{_key(name)}:{minute}")
            return pipe.execute()

    rows = resting.run(read)
    if rows is None:
        return None
    size = len(minutes) + 1
    return {
        name: _condition(rows[at], rows[at + 1 : at + size], now=now, reset_at=reset_at)
        for at, (name, reset_at) in zip(range(0, len(rows), size), resets.items(), strict=True)
    }


def _condition(
    shared: dict[bytes, bytes],
    minutes: Sequence[dict[bytes, bytes]],
    *,
    now: float,
    reset_at: float,
) -> Condition:
    state, since, until = _breaker(shared, now=now, reset_at=reset_at)
    in_air = [
        int(count)
        for count, ends in (
            value.split() for field, value in shared.items() if field.startswith(b"air:")
        )
        if int(ends) / 1e6 >= now
    ]
    total: Counter[str] = Counter()
    for minute in minutes:
        total.update({field.decode(): int(count) for field, count in minute.items()})
    calls = total["calls"]
    # The present minute has hardly begun: what it lacks is taken from the one before.
    present, before = (int(minute.get(b"calls", 0)) for minute in (minutes[-1], minutes[-2]))
    return Condition(
        breaker=state,
        since=since,
        until=until,
        in_flight=sum(in_air),
        workers=len(in_air),
        calls_per_minute=present + before * (1 - now % 60 / 60),
        outage_share=total["outages"] / calls if calls else None,
        p50_s=_quantile(total, calls, 0.5),
        p95_s=_quantile(total, calls, 0.95),
    )


def _breaker(
    shared: dict[bytes, bytes], *, now: float, reset_at: float
) -> tuple[State, datetime | None, datetime | None]:
    state = State(shared.get(b"state", b"closed").decode())
    since, until = (int(shared.get(field, 0)) / 1e6 for field in (b"since", b"until"))
    if state != State.CLOSED and reset_at > float(shared.get(b"reset", 0)):
        return State.CLOSED, datetime.fromtimestamp(reset_at, UTC), None
    if state == State.OPEN and now >= until:
        state, since = State.HALF_OPEN, until
    return (
        state,
        datetime.fromtimestamp(since, UTC) if since else None,
        datetime.fromtimestamp(until, UTC) if state == State.OPEN else None,
    )


def _quantile(counts: Counter[str], calls: int, share: float) -> float | None:
    """Return the latency that this share of calls stays below, within its bucket by proportion."""
    if not calls:
        return None
    left = share * calls
    for bucket in range(LAST_BUCKET + 1):
        count = counts[f"b{bucket}"]
        if count and left <= count:
            lower, upper = _bounds(bucket)
            return lower + (upper - lower) * left / count
        left -= count
    return _bounds(LAST_BUCKET)[1]


def _bounds(bucket: int) -> tuple[float, float]:
    lower = 2 ** ((bucket - 1) / 2) / 1_000 if bucket else 0.0
    return lower, 2 ** (bucket / 2) / 1_000


def names_of(rows: Iterable[Any]) -> dict[str, float]:
    """Return what `read_conditions` takes, of participants' rows."""
    return {
        row.name: row.breaker_reset_at.timestamp() if row.breaker_reset_at else 0.0 for row in rows
    }
