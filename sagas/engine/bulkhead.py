"""What one driver has to do with one participant: calls in the air, sagas that wait, its pace.

A participant is slow when its calls take long, or when most of those in the air have done so
already. It is the pace that says which sagas are held until it is their turn, and when those are
looked at again that are given back.
"""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass

from sagas.engine.held import Held
from sagas.engine.statements import Lined
from sagas.participants.breaker import State
from sagas.participants.limits import Policy, Report, Verdict

# A call is slow from then on.
SLOW_S = 0.3
# What a new latency counts for in the mean.
WEIGHT = 0.2
# Shares of limits, states of breakers: how long a driver goes on with what it was told.
TELL_S = 1.0
STALE_S = 2.0
RECENT_S = 60.0
# All calls that are allowed are in the air elsewhere: how long until asking again.
FULL_PAUSE_S = 0.05
# A saga that is given back is looked at again not before, and not much later than this.
SOONEST_S = 0.1
LONGEST_S = 30.0
# Behind a line that long, it is called when a slot is free; looking sooner would only cost others.
BACK_OF_LINE_S = 120.0
# Looks at sagas given back, beside the calls that can be made: enough that no slot stays empty.
LOOKS_PER_CALL = 1.5
LEAST_LOOKS_PER_S = 5.0


@dataclass(slots=True, eq=False)
class Flight:
    """A call in the air."""

    bulkhead: Bulkhead
    sent_at: float
    is_slow: bool
    # The one call that a half-open breaker lets through.
    is_probe: bool


class Bulkhead:
    """One driver's side of a participant. Times are monotonic."""

    def __init__(self, name: str, policy: Policy) -> None:
        self.name, self.policy = name, policy
        self.waiting: dict[Held, None] = {}
        self.flights: dict[Flight, None] = {}
        # Slots that were promised to calls about to be recorded; True for one of the slow.
        self.reserved: list[bool] = []
        # How many of the flights are slow.
        self.slow = 0
        self.latency_s = 0.0
        self.asked_at = float("-inf")
        # What was told to the other workers, and what they said.
        self.told_at = self.ask_at = float("-inf")
        self.told_in_air = 0
        self.state, self.workers, self.permits = State.CLOSED, 1, 0
        # There is something that others wait to hear.
        self.has_news = False
        self._oks = self._outages = self._streak = 0
        self._probe = ""
        # Sagas that were given back; the next ones to be called when there are slots.
        self.lined: dict[uuid.UUID, Lined] = {}
        self._line_ends_at = 0.0

    @property
    def in_air(self) -> int:
        return len(self.flights) + len(self.reserved)

    @property
    def is_slow(self) -> bool:
        return self.latency_s > SLOW_S or self.slow > len(self.flights) - self.slow

    @property
    def calls_per_s(self) -> float:
        """How many calls come to their end, as long as nothing changes; 0: nobody knows yet."""
        latency_s = self.latency_s
        if self.slow:
            oldest = next(iter(self.flights))
            latency_s = max(latency_s, time.monotonic() - oldest.sent_at)
        rate = max(1, self.in_air) / latency_s if latency_s else 0.0
        if self.policy.max_rate is not None:
            share = self.policy.max_rate / self.workers
            rate = min(rate, share) if rate else share
        return rate

    def obey(self, policy: Policy, now: float) -> None:
        """Go by a policy; when it is a new one, what others said before does not hold."""
        if self.policy != policy:
            self.policy = policy
            self.ask_at, self.told_at = now, float("-inf")

    def needs_permit(self, now: float) -> bool:
        """Say whether a call has to be granted first: by a limit, or because of the breaker."""
        if self.policy.is_limited or self.state != State.CLOSED:
            return True
        return self.policy.breaker.is_on and now - self.told_at > STALE_S

    def slot_of(self, *, slow: bool) -> int:
        """Return how many slots of the slow, or of the others, are taken."""
        flying = self.slow if slow else len(self.flights) - self.slow
        return flying + self.reserved.count(slow)

    def take_off(self, now: float) -> Flight:
        """Use the slot that was reserved first."""
        probes = self.state == State.HALF_OPEN
        flight = Flight(self, now, self.reserved.pop(0), probes)
        if probes:
            self._probe = "flying"
        self.flights[flight] = None
        self.slow += flight.is_slow
        return flight

    def land(self, flight: Flight, seconds: float, outage: bool | None) -> None:
        """Take in how a call has ended."""
        del self.flights[flight]
        self.slow -= flight.is_slow
        self.latency_s += (seconds - self.latency_s) * (WEIGHT if self.latency_s else 1)
        if outage:
            self._outages += 1
            self._streak += 1
        elif outage is not None:
            self._oks += 1
            self._streak = 0
        if flight.is_probe:
            self._probe = {True: "outage", False: "ok", None: ""}[outage]
        self.has_news = bool(
            self.has_news or outage or flight.is_probe or self.policy.max_concurrency is not None
        )

    def grow_old(self, now: float) -> int:
        """Count calls among the slow that have taken so long; return how many these are."""
        aged = 0
        for flight in self.flights:
            if flight.sent_at > now - SLOW_S:
                break
            if not flight.is_slow:
                flight.is_slow = True
                aged += 1
        self.slow += aged
        return aged

    def has_to_ask(self, now: float) -> bool:
        """Say whether the other workers have to be told, or asked, now."""
        if self.has_news or (self.waiting and self.needs_permit(now) and now >= self.ask_at):
            return True
        # What was wanted lately will be wanted again: then its breaker is known already.
        wanted = self.policy.breaker.is_on and now - self.asked_at < RECENT_S
        return now - self.told_at >= TELL_S and (wanted or self.has_something_to_tell)

    @property
    def has_something_to_tell(self) -> bool:
        return bool(self.in_air or self.told_in_air or self._oks or self._outages)

    def report(self, wanted: int) -> Report:
        return Report(
            self.name,
            self.policy,
            in_air=self.in_air,
            wanted=wanted,
            oks=self._oks,
            outages=self._outages,
            streak=self._streak,
            probe=self._probe,
        )

    def hear(self, report: Report, verdict: Verdict, now: float) -> None:
        """Take in what the other workers leave to this one."""
        self.told_at, self.told_in_air = now, report.in_air
        self.has_news = False
        self._oks = self._outages = self._streak = 0
        if self._probe != "flying":
            self._probe = ""
        self.permits, self.state, self.workers = verdict.granted, verdict.state, verdict.workers
        self.ask_at = now
        if verdict.granted < report.wanted or verdict.state == State.OPEN:
            self.ask_at += verdict.wait_s or FULL_PAUSE_S * random.uniform(0.5, 1.5)

    def line_up(self, now: float) -> float:
        """Return after how many seconds a saga that is given back is looked at again.

        One after the other, as fast as calls can be made: all of them at once would only be
        given back again. When calls get faster they are called before that.
        """
        rate = self.calls_per_s
        soonest = now + SOONEST_S
        if rate:
            soonest = max(soonest, now + len(self.waiting) / rate)
        # No later: somebody may close the breaker by hand.
        soonest = min(max(soonest, self.ask_at), now + LONGEST_S)
        at = max(self._line_ends_at, soonest)
        if at - soonest > LONGEST_S:
            return soonest - now + random.uniform(BACK_OF_LINE_S / 2, BACK_OF_LINE_S)
        self._line_ends_at = at + 1 / max(LEAST_LOOKS_PER_S, LOOKS_PER_CALL * rate)
        return at - now
