"""What becomes of deliveries that nobody could take, without knowing who keeps dead letters.

An app above this one registers a keeper. It is called in the relay's own transaction, so that a
delivery dies and its letter is written together, and is published and recovered together. Without a
keeper a dead delivery stays in the table with its errors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.db import connection, transaction

from outbox.publishing import RELAY_TASK
from outbox.waking import wake_on_commit


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """A delivery that has died, with its message and the errors since it was last made ready.

    `errors` are [{"at", "error_class", "message", "trace"}], `message_id` is text.
    """

    id: int
    route: str
    reason: str
    message_id: str
    type: str
    key: str
    payload: Any
    headers: Mapping[str, Any]
    saga_id: UUID | None
    errors: Sequence[Mapping[str, str]]


class Keeper(Protocol):
    """Keeps dead letters; both are called inside the relay's transaction."""

    def bury(self, dead: Sequence[DeadDelivery]) -> Mapping[int, UUID]:
        """Write the letters of dead deliveries; return the letters' ids by delivery id."""

    def recover(self, letter_ids: Sequence[UUID]) -> None:
        """Settle the letters whose deliveries have been published after all."""


_keepers: list[Keeper] = []


def set_keeper(keeper: Keeper) -> None:
    """Register who keeps dead letters; the last one registered counts."""
    _keepers[:] = [keeper]


def bury(dead: Sequence[DeadDelivery]) -> Mapping[int, UUID]:
    """Hand dead deliveries to the keeper."""
    return _keepers[0].bury(dead) if _keepers and dead else {}


def recover(letter_ids: Sequence[UUID]) -> None:
    """Tell the keeper which letters' deliveries have been published."""
    if _keepers and letter_ids:
        _keepers[0].recover(letter_ids)


_REVIVE = """
UPDATE outbox_delivery SET status = 'ready', attempts = 0, errors = '[]'
WHERE letter_id = ANY(%s) AND status IN ('dead', 'blocking')
RETURNING letter_id
"""


def revive(letter_ids: Collection[UUID]) -> set[UUID]:
    """Queue the deliveries of dead letters again, in their old places; return whose were there.

    Each gets one attempt: when that fails, the delivery goes back to the keeper.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REVIVE, [list(letter_ids)])
        revived = {row[0] for row in cursor.fetchall()}
    if revived:
        wake_on_commit(RELAY_TASK)
    return revived


# In the order of their ids, as relays lock heads.
_FORGET = """
WITH doomed AS MATERIALIZED (
    SELECT id FROM outbox_delivery
    WHERE letter_id = ANY(%s) AND status IN ('dead', 'blocking')
    ORDER BY id FOR UPDATE
)
DELETE FROM outbox_delivery d USING doomed WHERE d.id = doomed.id
RETURNING d.letter_id, d.route_id, d.key, d.status
"""

_RELEASE = """
UPDATE outbox_delivery d SET status = 'ready'
FROM unnest(%s::bigint[], %s::text[]) AS freed(route_id, key)
WHERE d.status = 'parked' AND d.route_id = freed.route_id AND d.key = freed.key
"""


def forget(letter_ids: Collection[UUID]) -> set[UUID]:
    """Give up the deliveries of dead letters; what was parked behind them goes on.

    Returns the letters whose deliveries were there. The release is a statement of its own, so that
    it sees what a relay parked while this waited for the relay's lock.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FORGET, [list(letter_ids)])
        rows = cursor.fetchall()
        freed = [(route, key) for _, route, key, status in rows if status == "blocking"]
        if freed:
            cursor.execute(_RELEASE, [[route for route, _ in freed], [key for _, key in freed]])
            wake_on_commit(RELAY_TASK)
    return {row[0] for row in rows}
