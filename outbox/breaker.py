"""Rest for a route whose target cannot be reached: back off, probe with one message, ramp up.

Each relay process keeps its own; it paces only that process, so the process's clock is good enough.
"""

from __future__ import annotations

import random
import time

FIRST_REST_S = 0.5
LONGEST_REST_S = 10.0
RAMP = 4


class Breaker:
    """How many messages a route may be sent now."""

    def __init__(self) -> None:
        self.outages = 0
        self.resting_until = 0.0
        # None: as many as there are.
        self.allowance: int | None = None

    @property
    def is_resting(self) -> bool:
        return time.monotonic() < self.resting_until

    def record_outage(self) -> None:
        """Rest, longer with every outage in a row, and probe with one message afterwards."""
        longest = min(FIRST_REST_S * 2**self.outages, LONGEST_REST_S)
        self.outages += 1
        self.resting_until = time.monotonic() + longest * random.uniform(0.5, 1)
        self.allowance = 1

    def record_success(self, full_batch: int) -> None:
        """Allow more than last time, until a whole batch has gone through."""
        self.outages = 0
        if self.allowance is not None:
            self.allowance *= RAMP
            if self.allowance > full_batch:
                self.allowance = None


_breakers: dict[int, Breaker] = {}


def breaker_of(route_id: int) -> Breaker:
    """Return this process's breaker of a route."""
    return _breakers.setdefault(route_id, Breaker())


def resting_routes() -> list[int]:
    """Return the routes to leave alone for now."""
    return [route_id for route_id, breaker in _breakers.items() if breaker.is_resting]
