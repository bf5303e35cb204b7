"""When a participant counts as out of order, by the rules that workers share.

closed → open: so many outages in a row, or such a share of the calls of a window.
open → half-open: after a time. Then one call at a time is let through to see.
half-open → closed or open: as that call ends.

An outage is a participant that cannot be reached, does not answer in time, or answers that it is
broken (408 and 5xx). "No" is an answer like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

# A share of fewer calls than this says nothing.
LEAST_CALLS = 20


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerRules(NamedTuple):
    """What opens a breaker, and for how long. Without `failures` and `ratio` there is none."""

    failures: int | None = None
    # Percent of the calls of a window.
    ratio: int | None = None
    window_s: float = 30.0
    open_s: float = 10.0
    # When an operator closed it last, in seconds since the epoch.
    reset_at: float = 0.0

    @property
    def is_on(self) -> bool:
        return self.failures is not None or self.ratio is not None


# What shows that the participant cannot be reached or is broken, by the class of a failure.
_BROKEN = re.compile("HTTP(408|5..)|NewConnectionError|ConnectTimeoutError")
# They say nothing of it: told to slow down, or never sent.
_TELLS_NOTHING = frozenset(
    {
        "HTTP425",
        "HTTP429",
        "AddressNotAllowed",
        "LocationValueError",
        "MappingFailed",
        "NoProbe",
    }
)


def is_outage(outcome: str, error: Mapping[str, Any]) -> bool | None:
    """Say whether the participant was out of order, by an answer's outcome and error.

    None: the answer tells nothing of that.
    """
    kind = str(error.get("class", ""))
    if kind in _TELLS_NOTHING:
        return None
    return outcome == "unknown" or (outcome == "failed" and bool(_BROKEN.fullmatch(kind)))


class Breaker:
    """The breaker of a worker that is by itself, while Redis is away. Times are in seconds."""

    def __init__(self, rules: BreakerRules) -> None:
        self.state = State.CLOSED
        self.since = self.until = 0.0
        self.is_probed = False
        self._reset_at = rules.reset_at
        self._forget()

    def _forget(self) -> None:
        self._streak = 0
        self._began = 0.0
        # Calls and outages of this half of the window, and of the one before.
        self._now, self._before = (0, 0), (0, 0)

    def look(self, rules: BreakerRules, now: float) -> None:
        """Let time and operators have their say."""
        if not rules.is_on or rules.reset_at > self._reset_at:
            self._reset_at = max(self._reset_at, rules.reset_at)
            if self.state != State.CLOSED:
                self.close(now)
        elif self.state == State.OPEN and now >= self.until:
            self.state, self.since, self.is_probed = State.HALF_OPEN, now, False

    def close(self, now: float) -> None:
        self.state, self.since, self.is_probed = State.CLOSED, now, False
        self._forget()

    def trip(self, rules: BreakerRules, now: float) -> None:
        self.state, self.since, self.until = State.OPEN, now, now + rules.open_s
        self.is_probed = False
        self._forget()

    def count(self, rules: BreakerRules, now: float, *, oks: int, outages: int, streak: int) -> str:
        """Count answers while closed; return why it has to open, or nothing.

        `streak` are the outages after the last answer that was none.
        """
        half_s = rules.window_s / 2
        if now - self._began >= half_s:
            self._before = self._now if now - self._began < rules.window_s else (0, 0)
            self._began, self._now = now, (0, 0)
        self._now = (self._now[0] + oks + outages, self._now[1] + outages)
        self._streak = streak if oks else self._streak + outages
        if not outages:
            return ""
        if rules.failures is not None and self._streak >= rules.failures:
            return f"{self._streak} in a row"
        calls, bad = (sum(pair) for pair in zip(self._now, self._before, strict=True))
        if rules.ratio is not None and calls >= LEAST_CALLS and bad * 100 >= rules.ratio * calls:
            return f"{bad} of {calls} calls"
        return ""
