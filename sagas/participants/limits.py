"""How much of a participant workers may take: calls in the air, calls per second, a breaker.

A worker reports what it has in the air, what has come back and how much more it wants, for all
its participants at once, and is told how much it may have. All workers share the figures in
Redis. While Redis is away each keeps to itself with its share of the limits, which is why a
report says everything anew: whatever was lost is put right by the next one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from sagas.models import Participant
from sagas.participants import shared_limits
from sagas.participants.breaker import Breaker, BreakerRules, State

logger = logging.getLogger(__name__)

# What a limit of calls per second lets through at once: those of this time.
BURST_S = 0.1
# Somebody else looks whether the participant is back; ask again after this time.
PROBE_PAUSE_S = 0.5


class Policy(NamedTuple):
    """What a participant's row allows."""

    max_concurrency: int | None = None
    max_rate: float | None = None
    breaker: BreakerRules = BreakerRules()

    @classmethod
    def of(cls, row: Participant) -> Policy:
        reset_at = row.breaker_reset_at.timestamp() if row.breaker_reset_at else 0.0
        rules = BreakerRules(
            row.breaker_failures,
            row.breaker_ratio,
            float(row.breaker_window_s),
            float(row.breaker_open_s),
            reset_at,
        )
        return cls(row.max_concurrency, row.max_rate, rules)

    @property
    def is_limited(self) -> bool:
        return self.max_concurrency is not None or self.max_rate is not None


class Report(NamedTuple):
    """What a worker tells of one participant; counts of answers are since its last report."""

    name: str
    policy: Policy
    in_air: int = 0
    wanted: int = 0
    oks: int = 0
    outages: int = 0
    # Outages after the last answer that was none.
    streak: int = 0
    # Of the one call through a half-open breaker: flying, ok, outage; empty without one.
    probe: str = ""


class Verdict(NamedTuple):
    """How many more calls a worker may send, and what it has to know otherwise."""

    granted: int
    state: State
    # How long to wait before asking for more; 0: until one of the calls in the air has landed.
    wait_s: float = 0.0
    # How many workers share the limits.
    workers: int = 1
    # "opened" or "closed": this report did that to the breaker.
    change: str = ""
    why: str = ""


class Limits:
    """What one worker may do, by what all of them do."""

    def __init__(self, worker: str, *, lease_s: float) -> None:
        self._worker, self._lease_s = worker, lease_s
        self._alone: AloneLimits | None = None
        self._workers: dict[str, int] = {}

    def exchange(self, reports: Sequence[Report]) -> list[Verdict]:
        """Report and ask, in one round trip. Takes at most 100 ms and never raises for Redis.

        What is granted counts as in the air from now on, until a report says otherwise or this
        worker has said nothing for the time of its lease.
        """
        verdicts = self._ask_redis(reports)
        if verdicts is None:
            self._alone = self._alone or AloneLimits()
            verdicts = self._alone.exchange(reports, self._workers)
        else:
            self._alone = None
        for report, verdict in zip(reports, verdicts, strict=True):
            _log(report, verdict)
        return verdicts

    def _ask_redis(self, reports: Sequence[Report]) -> list[Verdict] | None:
        answers = shared_limits.exchange(
            self._worker,
            [(report.name, _numbers(report)) for report in reports],
            lease_s=self._lease_s,
        )
        if answers is None:
            return None
        verdicts = []
        for report, (granted, state, wait_us, workers, change, why) in zip(
            reports, answers, strict=True
        ):
            self._workers[report.name] = workers
            verdicts.append(Verdict(granted, State(state), wait_us / 1e6, workers, change, why))
        return verdicts


def _numbers(report: Report) -> list[str | int | float]:
    """Return a report as the script reads it; 0 stands for no limit."""
    policy, rules = report.policy, report.policy.breaker
    return [
        report.in_air,
        report.wanted,
        report.oks,
        report.outages,
        report.streak,
        report.probe,
        policy.max_concurrency or 0,
        policy.max_rate or 0,
        rules.failures or 0,
        rules.ratio or 0,
        rules.window_s,
        rules.open_s,
        rules.reset_at,
    ]


def _log(report: Report, verdict: Verdict) -> None:
    if verdict.change == "opened":
        logger.warning(
            "The breaker of %s is open for %g s: %s failed.",
            report.name,
            report.policy.breaker.open_s,
            verdict.why or "the probe",
        )
    elif verdict.change == "closed":
        logger.info("The breaker of %s is closed again.", report.name)


class AloneLimits:
    """The same rules for a worker that is by itself, with its share of what is shared."""

    def __init__(self) -> None:
        self._breakers: dict[str, Breaker] = {}
        # When the next call would be on time, by a limit of calls per second.
        self._next_at: dict[str, float] = {}

    def exchange(
        self, reports: Sequence[Report], workers: dict[str, int], *, now: float | None = None
    ) -> list[Verdict]:
        """Judge by what this worker knows; `workers` says how many share a limit."""
        now = time.monotonic() if now is None else now
        return [self._judge(report, workers.get(report.name, 1), now) for report in reports]

    def _judge(self, report: Report, workers: int, now: float) -> Verdict:
        rules = report.policy.breaker
        breaker = self._breakers.setdefault(report.name, Breaker(rules))
        before = breaker.state
        breaker.look(rules, now)
        why = self._record(breaker, report, now)
        granted, wait_s = self._grant(breaker, report, workers, now)
        change = ""
        if breaker.state != before and breaker.state != State.HALF_OPEN:
            change = "opened" if breaker.state == State.OPEN else "closed"
        return Verdict(granted, breaker.state, wait_s, workers, change, why)

    def _record(self, breaker: Breaker, report: Report, now: float) -> str:
        rules = report.policy.breaker
        if breaker.state == State.HALF_OPEN and report.probe != "flying":
            breaker.is_probed = False
            if report.probe == "ok":
                breaker.close(now)
            elif report.probe == "outage":
                breaker.trip(rules, now)
        elif breaker.state == State.CLOSED and rules.is_on:
            why = breaker.count(
                rules, now, oks=report.oks, outages=report.outages, streak=report.streak
            )
            if why:
                breaker.trip(rules, now)
            return why
        return ""

    def _grant(
        self, breaker: Breaker, report: Report, workers: int, now: float
    ) -> tuple[int, float]:
        granted, wait_s = report.wanted, 0.0
        if breaker.state == State.OPEN:
            return 0, breaker.until - now
        if breaker.state == State.HALF_OPEN:
            granted, wait_s = min(granted, 0 if breaker.is_probed else 1), PROBE_PAUSE_S
        if report.policy.max_concurrency is not None:
            share = max(1, report.policy.max_concurrency // workers)
            granted = max(0, min(granted, share - report.in_air))
        if report.policy.max_rate is not None:
            pause_s = workers / report.policy.max_rate
            next_at = max(self._next_at.get(report.name, 0.0), now - max(pause_s, BURST_S))
            granted = min(granted, int((now - next_at) / pause_s + 1e-6))
            self._next_at[report.name] = next_at = next_at + granted * pause_s
            wait_s = max(wait_s, next_at + pause_s - now)
        if breaker.state == State.HALF_OPEN and granted:
            breaker.is_probed = True
        return granted, wait_s if granted < report.wanted else 0.0
