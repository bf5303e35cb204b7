"""Retention: what was published long ago goes, in small batches; what is still to do stays."""

from __future__ import annotations

import time

from django.conf import settings
from django.db import connection

BATCH = 2000
DEFAULT_BUDGET_S = 60.0

# A delivery of any status keeps its message, dead ones too: they may be reprocessed.
_PURGE_MESSAGES = """
DELETE FROM outbox_message WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM outbox_message message
    WHERE created_at < statement_timestamp() - %s * interval '1 second'
      AND NOT EXISTS (SELECT FROM outbox_delivery WHERE message_id = message.id)
    LIMIT %s
))
"""

_PURGE_RECEIPTS = """
DELETE FROM outbox_receipt WHERE id = ANY(ARRAY(
    SELECT id FROM outbox_receipt
    WHERE published_at < statement_timestamp() - %s * interval '1 second'
    ORDER BY published_at LIMIT %s
))
"""


def purge_published(*, budget_s: float = DEFAULT_BUDGET_S) -> int:
    """Delete messages and receipts older than OUTBOX_KEEP_PUBLISHED_DAYS; return how many.

    Stops when the time is up; the next run goes on. Messages that have deliveries are kept.
    """
    keep_s = settings.OUTBOX_KEEP_PUBLISHED_DAYS * 86_400
    deadline = time.monotonic() + budget_s
    return sum(
        purge_in_batches(statement, keep_s, deadline=deadline)
        for statement in (_PURGE_MESSAGES, _PURGE_RECEIPTS)
    )


def purge_in_batches(statement: str, keep_s: float, *, deadline: float, batch: int = BATCH) -> int:
    """Delete what is older than `keep_s`, until nothing is left or the time is up; return how much.

    The statement takes that age and how many rows to delete at once. `deadline` is monotonic.
    """
    purged = 0
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(statement, [keep_s, batch])
            purged += cursor.rowcount
            if cursor.rowcount < batch:
                break
    return purged
