"""What can go wrong with a message, as kinds a caller can act on."""

from __future__ import annotations


class OutboxError(Exception):
    """Something about the outbox that a caller can act on."""


class MessageRefused(OutboxError):
    """The message cannot be stored; nothing was written."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"The message's {field} {problem}.")
        self.field = field
        self.problem = problem


class PayloadTooLarge(MessageRefused):
    """The payload is larger than OUTBOX_MAX_PAYLOAD_BYTES."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__("payload", f"has {size:,} bytes; the limit is {limit:,}")
        self.size = size
        self.limit = limit


class Unavailable(OutboxError):
    """The target of a route cannot be reached; no message is to blame and no attempt is spent."""


class Poison(OutboxError):
    """The transport refuses this message for what it contains; trying again is of no use."""


class RouteNotFound(OutboxError):
    """No route has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no route {name}.")
        self.name = name
