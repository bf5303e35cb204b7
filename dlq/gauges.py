"""Cheap figures of dead letters for pages; bounded, however many there are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from dlq.models import DeadLetter

# Of each status the newest so many letters are grouped; beyond it counts are "at least".
CAP = 10_000


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """The open letters of one cause; error and destination are those of the newest."""

    fingerprint: str
    count: int
    oldest_at: datetime
    newest_at: datetime
    source: str
    destination: str
    reason: str
    error_class: str
    error_message: str
    newest_id: UUID


@dataclass(frozen=True, slots=True)
class LetterGroups:
    """The groups, largest first; when capped there are more letters than were looked at."""

    groups: list[LetterGroup]
    is_capped: bool


_GROUPS = """
WITH newest AS MATERIALIZED (
    SELECT id, fingerprint, dead_at FROM dlq_deadletter
    WHERE status = %(status)s ORDER BY id DESC LIMIT %(cap)s + 1
), cause AS (
    SELECT fingerprint, count(*) AS number, min(dead_at) AS oldest, max(dead_at) AS newest,
           (array_agg(id ORDER BY id DESC))[1] AS newest_id
    FROM newest GROUP BY fingerprint
)
SELECT cause.fingerprint, cause.number, cause.oldest, cause.newest, letter.source,
       letter.destination, letter.reason, letter.error_class, letter.error_message, letter.id,
       (SELECT count(*) FROM newest) > %(cap)s
FROM cause JOIN dlq_deadletter letter ON letter.id = cause.newest_id
ORDER BY cause.number DESC, letter.id DESC LIMIT %(limit)s
"""


def letter_groups(*, status: str = DeadLetter.Status.OPEN, limit: int = 100) -> LetterGroups:
    """Return the letters of a status by cause, the most frequent first; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, {"status": status, "cap": CAP, "limit": limit})
        rows = cursor.fetchall()
    groups = [LetterGroup(*row[:-1]) for row in rows]
    return LetterGroups(groups, is_capped=bool(rows) and rows[0][-1])
