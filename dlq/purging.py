"""Retention: letters settled long ago go; what is open stays until somebody settles it."""

from __future__ import annotations

import time

from django.conf import settings

from outbox.purging import purge_in_batches

BATCH = 1000
DEFAULT_BUDGET_S = 60.0

_PURGE = """
WITH old AS MATERIALIZED (
    SELECT id FROM dlq_deadletter
    WHERE settled_at < statement_timestamp() - %s * interval '1 second'
    ORDER BY settled_at LIMIT %s
    FOR UPDATE SKIP LOCKED
), attempts AS (
    DELETE FROM dlq_attempt WHERE letter_id IN (SELECT id FROM old)
)
DELETE FROM dlq_deadletter WHERE id IN (SELECT id FROM old)
"""


def purge_settled(*, budget_s: float = DEFAULT_BUDGET_S) -> int:
    """Delete letters settled more than DLQ_KEEP_SETTLED_DAYS ago; return how many."""
    keep_s = settings.DLQ_KEEP_SETTLED_DAYS * 86_400
    deadline = time.monotonic() + budget_s
    return purge_in_batches(_PURGE, keep_s, deadline=deadline, batch=BATCH)
