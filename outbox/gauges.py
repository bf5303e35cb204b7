"""Cheap figures for pages: every one is bounded, however much has piled up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from outbox.models import Lane

# Beyond it a page says "10,000+".
CAP = 10_000
# So many receipts are searched for one message.
RECEIPTS = 2_000


@dataclass(frozen=True, slots=True)
class RouteGauge:
    """How one route is doing.

    `pending` is everything not yet published and not dead; `blocked` is the part of it that waits
    for its next attempt or is parked behind such a one or behind a dead letter.
    """

    route_id: int
    name: str
    pending: int
    is_capped: bool
    oldest_at: datetime | None
    oldest_age_s: float | None
    blocked: int
    published_last_minute: int
    published_last_hour: int
    paused_at: datetime | None
    outage_since: datetime | None
    outage_error: str

    @property
    def pending_text(self) -> str:
        """Return the count as a page shows it."""
        return f"{CAP:,}+" if self.is_capped else f"{self.pending:,}"

    @property
    def drain_s(self) -> float | None:
        """Return how long the backlog takes at the last minute's rate; None when nobody knows."""
        if not self.pending or self.is_capped or not self.published_last_minute:
            return None
        return self.pending * 60 / self.published_last_minute


@dataclass(frozen=True, slots=True)
class BlockedKey:
    """A key that does not move: the delivery at its head, why, since when, until when."""

    route: str
    key: str
    delivery_id: int
    message_id: UUID
    status: str
    attempts: int
    error_class: str
    error_message: str
    since: datetime
    age_s: float
    not_before: datetime | None
    letter_id: UUID | None
    parked: int


# Per lane, because that is how the index of the ready ones is sorted: it stops at the cap, and the
# oldest one is at the head of a lane.
_ROUTES = """
WITH published AS MATERIALIZED (
    SELECT route_id, sum(count) AS hour,
           coalesce(sum(count) FILTER (
               WHERE published_at > statement_timestamp() - interval '1 minute'), 0) AS minute
    FROM outbox_receipt WHERE published_at > statement_timestamp() - interval '1 hour'
    GROUP BY route_id
)
SELECT route.id, route.name, least(ready.number + blocked.number, %(cap)s),
       ready.number + blocked.number > %(cap)s, least(head.oldest, blocked.oldest),
       extract(epoch FROM statement_timestamp() - least(head.oldest, blocked.oldest))::float8,
       blocked.number, coalesce(published.minute, 0)::int, coalesce(published.hour, 0)::int,
       route.paused_at, route.outage_since, route.outage_error
FROM outbox_route route
CROSS JOIN LATERAL (
    SELECT count(*) AS number FROM (
        SELECT FROM outbox_lane lane CROSS JOIN LATERAL (
            SELECT FROM outbox_delivery
            WHERE lane = lane.id AND route_id = route.id AND status = 'ready'
            LIMIT %(cap)s + 1
        ) one
        LIMIT %(cap)s + 1
    ) few
) ready
CROSS JOIN LATERAL (
    SELECT min(created_at) AS oldest FROM outbox_lane lane CROSS JOIN LATERAL (
        SELECT created_at FROM outbox_delivery
        WHERE lane = lane.id AND route_id = route.id AND status = 'ready'
        ORDER BY id LIMIT 1
    ) one
) head
CROSS JOIN LATERAL (
    SELECT count(*) AS number, min(created_at) AS oldest FROM (
        SELECT created_at FROM outbox_delivery
        WHERE route_id = route.id AND status IN ('waiting', 'parked')
        LIMIT %(cap)s + 1
    ) few
) blocked
LEFT JOIN published ON published.route_id = route.id
ORDER BY route.name
"""

_BLOCKED = """
SELECT route.name, head.key, head.id, head.message_id, head.status, head.attempts,
       coalesce(head.errors->-1->>'error_class', ''), coalesce(head.errors->-1->>'message', ''),
       head.created_at, extract(epoch FROM statement_timestamp() - head.created_at)::float8,
       head.not_before, head.letter_id, parked.number
FROM (
    SELECT * FROM (
        SELECT * FROM outbox_delivery
        WHERE status IN ('waiting', 'blocking')
          AND (%(route)s::bigint IS NULL OR route_id = %(route)s)
        LIMIT %(cap)s
    ) few
    ORDER BY id LIMIT %(limit)s
) head
JOIN outbox_route route ON route.id = head.route_id
CROSS JOIN LATERAL (
    SELECT count(*) AS number FROM (
        SELECT FROM outbox_delivery behind
        WHERE behind.route_id = head.route_id AND behind.key = head.key
          AND behind.status = 'parked'
        LIMIT %(cap)s
    ) few
) parked
ORDER BY head.id
"""

# Only what has no delivery left is looked for, so its receipt is there, soon after its creation.
_PUBLISHED_AT = """
SELECT message.id, receipt.published_at
FROM outbox_message message CROSS JOIN LATERAL (
    SELECT published_at FROM (
        SELECT published_at, message_ids FROM outbox_receipt
        WHERE published_at >= message.created_at ORDER BY published_at LIMIT %(cap)s
    ) next
    WHERE message_ids ? message.id::text ORDER BY published_at LIMIT 1
) receipt
WHERE message.id = ANY(%(ids)s)
  AND NOT EXISTS (SELECT FROM outbox_delivery WHERE message_id = message.id)
"""


def route_gauges() -> list[RouteGauge]:
    """Return every route's figures, by name; one query."""
    return [RouteGauge(*row) for row in _rows(_ROUTES, {"cap": CAP})]


def blocked_keys(*, route_id: int | None = None, limit: int = 100) -> list[BlockedKey]:
    """Return the keys that wait for their head's next attempt or its dead letter, oldest first."""
    parameters = {"route": route_id, "limit": limit, "cap": CAP}
    return [BlockedKey(*row) for row in _rows(_BLOCKED, parameters)]


def owned_lanes() -> list[Lane]:
    """Return the lanes that a relay holds now or died holding."""
    return list(Lane.objects.exclude(owner="").order_by("id"))


def published_times(message_ids: Iterable[UUID]) -> dict[UUID, datetime]:
    """Return when messages that have arrived everywhere were first published.

    Those whose receipt is not among the next 2,000 after their creation are left out.
    """
    parameters = {"ids": list(message_ids), "cap": RECEIPTS}
    return dict(_rows(_PUBLISHED_AT, parameters))


def _rows(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
