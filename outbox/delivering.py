"""Sending one route's part of a batch, with an outcome for every message.

Whatever the transport does, one bad message harms itself and what follows it in its key, no other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from outbox.exceptions import Poison, Unavailable
from outbox.relay_statements import Pending
from outbox.transports import Transport

MAX_CHUNK_BYTES = 1 << 20


@dataclass(slots=True)
class Outcome:
    """What became of a batch. What is in none of the lists was not tried and is still ready."""

    done: list[Pending] = field(default_factory=list)
    failed: list[tuple[Pending, Exception]] = field(default_factory=list)
    # Behind an earlier message of their key that failed, now or before.
    blocked: list[Pending] = field(default_factory=list)
    unavailable: Unavailable | None = None
    # Keys that must not go on in this batch.
    stopped: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """How many deliveries have an outcome."""
        return len(self.done) + len(self.failed) + len(self.blocked)

    @property
    def has_trouble(self) -> bool:
        """Whether there is more to write than first-time successes."""
        return bool(self.failed or self.blocked) or any(
            delivery.attempts or delivery.letter_id is not None for delivery in self.done
        )

    def fail(self, delivery: Pending, error: Exception) -> None:
        if isinstance(error, Unavailable):
            self.unavailable = error
        else:
            self.failed.append((delivery, error))
        self.stopped.add(delivery.key)


def deliver(
    transport: Transport, target: str, batch: Sequence[Pending], *, until: float = math.inf
) -> Outcome:
    """Send a batch in order, in chunks of at most 1 MiB.

    Stops when the target is unavailable, and ahead of a chunk that would begin after `until`
    (monotonic), so that a slow target does not outlast the lease of the lanes.
    """
    outcome = Outcome()
    for chunk in _chunks(_sendable(batch, outcome)):
        try:
            _send(transport, target, chunk, outcome)
        except Unavailable as error:
            outcome.unavailable = error
        if outcome.unavailable or time.monotonic() >= until:
            break
    return outcome


def _sendable(batch: Sequence[Pending], outcome: Outcome) -> list[Pending]:
    sendable = []
    for delivery in batch:
        if delivery.is_blocked or delivery.key in outcome.stopped:
            outcome.blocked.append(delivery)
        elif delivery.payload is None:
            outcome.fail(delivery, Poison("The message is gone."))
        else:
            sendable.append(delivery)
    return sendable


def _chunks(batch: Sequence[Pending]) -> Iterator[list[Pending]]:
    chunk: list[Pending] = []
    size = 0
    for delivery in batch:
        size += len(delivery.payload)
        if chunk and size > MAX_CHUNK_BYTES:
            yield chunk
            chunk, size = [], len(delivery.payload)
        chunk.append(delivery)
    if chunk:
        yield chunk


def _send(transport: Transport, target: str, chunk: Sequence[Pending], outcome: Outcome) -> None:
    chunk = _drop_stopped(chunk, outcome)
    if not chunk:
        return
    try:
        errors = transport.send(target, chunk)
    except Unavailable:
        raise
    except Exception as error:
        # It does not say which one it stumbled over: halve until it is alone.
        if len(chunk) == 1:
            outcome.fail(chunk[0], error)
            return
        middle = len(chunk) // 2
        _send(transport, target, chunk[:middle], outcome)
        _send(transport, target, chunk[middle:], outcome)
        return
    _sort_out(chunk, errors, outcome)


def _drop_stopped(chunk: Sequence[Pending], outcome: Outcome) -> Sequence[Pending]:
    if not outcome.stopped:
        return chunk
    outcome.blocked += [delivery for delivery in chunk if delivery.key in outcome.stopped]
    return [delivery for delivery in chunk if delivery.key not in outcome.stopped]


def _sort_out(chunk: Sequence[Pending], errors: Mapping[int, Exception], outcome: Outcome) -> None:
    if not errors:
        outcome.done += chunk
        return
    for position, delivery in enumerate(chunk):
        if position in errors:
            outcome.fail(delivery, errors[position])
        elif delivery.key in outcome.stopped:
            outcome.blocked.append(delivery)
        else:
            outcome.done.append(delivery)
