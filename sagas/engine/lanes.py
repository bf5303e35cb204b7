"""Whose turn it is: sagas that share a lane wait for each other, lanes take turns.

A lane is one number on the saga's row, made of its definition's version, one of 64 buckets of
tenants, and its priority. It never changes, so it costs no index entry after the start.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from zlib import crc32

TENANT_BUCKETS = 64
# Two bits of a lane are its priority, six its tenants; what is left of 31 is the definition's id.
_MOST_DEFINITIONS = 2**23
FIRST_LANE, LAST_LANE = 0, 2**31 - 1


class Priority(IntEnum):
    """How much of a worker's time a lane gets beside others; every lane gets some."""

    LOW = -1
    NORMAL = 0
    HIGH = 1

    @classmethod
    def of(cls, number: int) -> Priority:
        """Return the priority that a definition means by any number."""
        return cls((number > 0) - (number < 0))


# So that lane 0, where sagas are that were started before there were lanes, is a normal one.
_PRIORITIES = (Priority.NORMAL, Priority.HIGH, Priority.LOW)
_SHARES = {Priority.HIGH: 16, Priority.NORMAL: 4, Priority.LOW: 1}


def lane_of(definition_id: int, tenant: str, priority: Priority) -> int:
    """Return the lane of a saga. Tenants of one definition may share one, definitions never do."""
    bucket = crc32(tenant.encode()) % TENANT_BUCKETS
    group = definition_id % _MOST_DEFINITIONS * TENANT_BUCKETS + bucket
    return group * 4 + _PRIORITIES.index(priority)


def priority_of(lane: int) -> Priority:
    return _PRIORITIES[lane % 4]


def share_out(lanes: Iterable[int], room: int) -> dict[int, int]:
    """Divide room among lanes by their priority; the last ones get none when it is used up."""
    weights = {lane: _SHARES[priority_of(lane)] for lane in lanes}
    total, left = sum(weights.values()), room
    shares: dict[int, int] = {}
    for lane, weight in weights.items():
        # Rounded up: together they ask for all of the room.
        share = min(left, -(-room * weight // total))
        if share:
            shares[lane] = share
            left -= share
    return shares
