"""Workers that share limits through Redis, and one that is by itself."""

from __future__ import annotations

import time
from typing import Any

import redis
from django.conf import settings

from sagas.participants import shared_limits
from sagas.participants.limits import AloneLimits, Limits, Policy, Report, Verdict

NAME = "Bank"
LEASE_S = 30.0


def let_redis_pass(seconds: float, name: str = NAME) -> None:
    """Move every time that Redis knows of a participant into the past."""
    server = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)
    key = shared_limits.key_of(name)
    us = int(seconds * 1e6)
    for field, value in server.hgetall(key).items():  # type: ignore[union-attr]
        if field in ("since", "until", "began", "next_at", "probe_until"):
            server.hset(key, field, int(value) - us)
        elif field.startswith("air:"):
            count, ends = value.split()
            server.hset(key, field, f"{count} {int(ends) - us}")


class Together:
    """Workers that share a participant in Redis; no time passes between what they tell."""

    def __init__(self) -> None:
        self._workers: dict[str, Limits] = {}
        self._told_at: float | None = None

    def tell(self, policy: Policy, worker: str = "one", **report: Any) -> Verdict:
        limits = self._workers.setdefault(worker, Limits(worker, lease_s=LEASE_S))
        if self._told_at is not None:
            let_redis_pass(self._told_at - time.monotonic())
        [verdict] = limits.exchange([Report(NAME, policy, **report)])
        self._told_at = time.monotonic()
        return verdict

    def let_pass(self, seconds: float) -> None:
        let_redis_pass(seconds)


class Alone:
    """One worker while Redis is away."""

    def __init__(self) -> None:
        self._limits = AloneLimits()
        self._now = 1_000.0

    def tell(self, policy: Policy, worker: str = "one", **report: Any) -> Verdict:
        [verdict] = self._limits.exchange([Report(NAME, policy, **report)], {}, now=self._now)
        return verdict

    def let_pass(self, seconds: float) -> None:
        self._now += seconds
