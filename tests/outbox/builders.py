"""Routes, messages and transports for tests: defaults plus overrides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
from django.conf import settings
from django.db import connection

from outbox.models import LANES, Delivery, Lane, Route
from outbox.publishing import NewMessage, publish_many
from outbox.relay_statements import Pending

STREAM = "sagadesk:test-stream"


def make_lanes() -> None:
    """Bring back the lanes of the migration, which a flush between tests removes."""
    Lane.objects.bulk_create([Lane(id=n) for n in range(LANES)], ignore_conflicts=True)


def make_route(name: str = "test", **overrides: Any) -> Route:
    fields: dict[str, Any] = {
        "transport": Route.Transport.REDIS_STREAM,
        "target": STREAM,
        "types": ["test.*"],
    }
    return Route.objects.create(name=name, **(fields | overrides))


def publish_numbers(*numbers: int, key: str = "k", type: str = "test.number") -> None:
    """Publish one message per number, in order; the payload is {"n": number}."""
    publish_many([NewMessage(type, key, {"n": number}) for number in numbers])


def stream_entries(stream: str = STREAM) -> list[dict[str, str]]:
    client = redis.Redis.from_url(settings.REDIS_URL, decode_responses=True)
    return [fields for _, fields in client.xrange(stream)]


def end_waiting() -> None:
    """Let the time of every waiting delivery come."""
    Delivery.objects.filter(status="waiting").update(not_before="2000-01-01T00:00Z")


def end_leases() -> None:
    """Let all leases end, but for lanes that somebody is writing right now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE outbox_lane SET lease_until = '2000-01-01Z' WHERE id IN (SELECT id"
            " FROM outbox_lane WHERE lease_until IS NOT NULL FOR UPDATE SKIP LOCKED)"
        )


class ScriptedTransport:
    """A target that plays a script and keeps what it has taken.

    `refuses` tells the error of a message, or None to take it. `before` runs ahead of each batch.
    """

    def __init__(
        self,
        refuses: Callable[[Pending], Exception | None] = lambda message: None,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self.refuses = refuses
        self.before = before
        self.taken: list[Pending] = []
        self.batches: list[int] = []

    def send(self, target: str, messages: Sequence[Pending]) -> Mapping[int, Exception]:
        self.before()
        self.batches.append(len(messages))
        errors: dict[int, Exception] = {}
        stopped = set()
        for position, message in enumerate(messages):
            if message.key in stopped:
                continue
            if error := self.refuses(message):
                errors[position] = error
                stopped.add(message.key)
            else:
                self.taken.append(message)
        return errors

    @property
    def payloads(self) -> list[str]:
        return [message.payload for message in self.taken]


def refuse(*numbers: int, error: type[Exception] = ValueError) -> Callable[..., Exception | None]:
    """Refuse the messages with these numbers."""
    payloads = [f'{{"n": {number}}}' for number in numbers]
    return lambda message: error("no") if message.payload in payloads else None


def numbers(*values: int) -> list[str]:
    """Return payloads as the relay reads them."""
    return [f'{{"n": {value}}}' for value in values]
