"""Identifiers that sort by time (RFC 9562, version 7)."""

import os
import time
import uuid


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7: 48 bits of milliseconds, 12 of their fraction, 62 random bits.

    The fraction (RFC 9562, 6.2, method 3) keeps the ids of one process in order within a
    millisecond. The clock only gives index locality and a rough order; nothing is decided by it.
    """
    millis, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    tail = int.from_bytes(os.urandom(8), "big") >> 2
    return uuid.UUID(int=(millis << 80) | (0x7000 | fraction) << 64 | (0b10 << 62) | tail)
