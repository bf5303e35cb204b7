"""The statements of the hot path, on psycopg's own cursors: binary, set-based, one round trip.

Django's cursors bind on the client, in text; for arrays of hundreds of rows that is several times
slower (measured). `psycopg.Cursor(connection.connection)` shares Django's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from outbox.messages import NewMessage, check_name, encode_headers, encode_payload, lane_of

RawConnection = psycopg.Connection[Any]
# What is raised when the database is away, or wants something tried again, such as what has met in
# a deadlock. Raw cursors raise psycopg's own errors.
DATABASE_IS_AWAY = (
    OperationalError,
    InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)

# Routes are matched here rather than from a cache: once per type of the batch, never stale, and
# without a round trip of its own. ORDER BY gives deliveries their sequence in the caller's order.
_INSERT = """
WITH new AS MATERIALIZED (
    SELECT * FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::uuid[],
                         %b::int2[])
        WITH ORDINALITY AS n(id, type, key, payload, headers, saga_id, lane, nr)
), stored AS (
    INSERT INTO outbox_message (id, type, key, payload, headers, saga_id)
    SELECT id, type, key, payload::jsonb, headers::jsonb, saga_id FROM new
), routed AS MATERIALIZED (
    SELECT types.type, route.id
    FROM (SELECT DISTINCT type FROM new) types
    JOIN outbox_route route ON EXISTS (
        SELECT FROM jsonb_array_elements_text(route.types) AS pattern
        WHERE pattern = types.type
           OR (right(pattern, 1) = '*' AND starts_with(types.type, left(pattern, -1)))
    )
)
INSERT INTO outbox_delivery (message_id, route_id, lane, key)
SELECT new.id, routed.id, new.lane, new.key
FROM new JOIN routed ON routed.type = new.type
ORDER BY new.nr, routed.id
"""


def raw_connection() -> RawConnection:
    """Return psycopg's connection below Django's, alive, and in Django's transaction if any."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    raw: RawConnection = connection.connection
    return raw


def insert_messages(cursor: psycopg.Cursor[Any], messages: Sequence[NewMessage]) -> None:
    """Store messages and their deliveries, in order, in one statement that returns nothing.

    `cursor` is psycopg's own, in the caller's transaction; inside a pipeline this waits for no
    answer. The caller wakes the relay on commit. Raises MessageRefused before anything is sent.
    """
    ids, types, keys, payloads, headers, sagas, lanes = [], [], [], [], [], [], []
    limit = settings.OUTBOX_MAX_PAYLOAD_BYTES
    for message in messages:
        ids.append(message.id)
        types.append(check_name(message.type, field="type"))
        keys.append(check_name(message.key, field="key"))
        payloads.append(encode_payload(message.payload, limit=limit))
        headers.append(encode_headers(message.headers))
        sagas.append(message.saga_id)
        lanes.append(lane_of(message.key))
    cursor.execute(_INSERT, (ids, types, keys, payloads, headers, sagas, lanes), prepare=True)
