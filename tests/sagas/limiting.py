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
    """Workers that share a participant in Redis."""

    def __init__(self) -> None:
        self._workers: dict[str, Limits] = {}

    def tell(self, policy: Policy, worker: str = "one", **report: Any) -> Verdict:
        limits = self._workers.setdefault(worker, Limits(worker, lease_s=LEASE_S))
        [verdict] = limits.exchange([Report(NAME, policy, **report)])
        return verdict

    def let_pass(self, seconds: float) -> None:
        let_redis_pass(seconds)


class TogetherAtOnce(Together):
    """No time passes between what they tell, however slow the machine."""

    def __init__(self) -> None:
        super().__init__()
        self._told_at = time.monotonic()

    def tell(self, policy: Policy, worker: str = "one", **report: Any) -> Verdict:
        let_redis_pass(self._told_at - time.monotonic())
        verdict = super().tell(policy, worker, **report)
        self._told_at = time.monotonic()
        return verdict


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
