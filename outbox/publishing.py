"""Publishing: messages are stored in the caller's transaction and leave after its commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection

from outbox.messages import NewMessage
from outbox.statements import insert_messages, raw_connection
from outbox.waking import wake_on_commit

__all__ = ["RELAY_TASK", "NewMessage", "publish", "publish_many"]

RELAY_TASK = "outbox.relay"


def publish(
    type: str,
    key: str,
    payload: Any,
    *,
    headers: Mapping[str, Any] | None = None,
    saga_id: UUID | None = None,
) -> UUID:
    """Publish one message with the caller's transaction, or not at all; return its id.

    It goes to every route whose types match, in the order of its key. It reaches each of them at
    least once. Raises PayloadTooLarge and MessageRefused, before anything is written.
    """
    message = NewMessage(type, key, payload, headers or {}, saga_id)
    publish_many([message])
    return message.id


def publish_many(messages: Sequence[NewMessage]) -> None:
    """Publish messages in this order with the caller's transaction, in one statement."""
    if not messages:
        return
    with connection.wrap_database_errors, psycopg.Cursor(raw_connection()) as cursor:
        insert_messages(cursor, messages)
    wake_on_commit(RELAY_TASK)
