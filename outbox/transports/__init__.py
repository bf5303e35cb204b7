"""How messages reach a route's target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from outbox.models import Route
from outbox.relay_statements import Pending
from outbox.transports.celery_task import CeleryTask
from outbox.transports.redis_stream import RedisStream


class Transport(Protocol):
    """Takes messages to a target."""

    def send(self, target: str, messages: Sequence[Pending]) -> Mapping[int, Exception]:
        """Send messages in order; return the errors of those that were not taken, by position.

        After one that was not taken no later message of the same key is sent. An error is Poison
        when the message itself is to blame and Unavailable when the target is. Raises Unavailable
        when the target cannot be reached or did not answer: then any part may have been taken.
        """


TRANSPORTS: dict[str, Transport] = {
    Route.Transport.REDIS_STREAM: RedisStream(),
    Route.Transport.CELERY_TASK: CeleryTask(),
}
