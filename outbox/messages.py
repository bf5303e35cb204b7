"""Messages before they are stored: their parts, their limits, and their JSON."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings

from outbox.exceptions import MessageRefused, PayloadTooLarge
from outbox.models import LANES
from outbox.uuid7 import uuid7

MAX_NAME_LENGTH = 200
# Enough for trace context, tenant and the like; what is larger belongs into the payload.
MAX_HEADERS_BYTES = 16_384

# PostgreSQL's jsonb holds no NUL. An even number of backslashes before it only looks like one.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to publish. Messages of one key reach each route in order.

    `headers` are CloudEvents extension attributes by name; `traceparent` is one of them.
    `id` stays the same over every delivery, so that consumers can drop repeats.
    """

    type: str
    key: str
    payload: Any
    headers: Mapping[str, Any] = field(default_factory=dict)
    saga_id: UUID | None = None
    id: UUID = field(default_factory=uuid7)


def lane_of(key: str) -> int:
    """Return the lane of a key; the same in every process and version."""
    return zlib.crc32(key.encode()) % LANES


def check_name(value: str, *, field: str) -> str:
    """Return a type or key that fits its column, or raise MessageRefused."""
    if len(value) > MAX_NAME_LENGTH:
        raise MessageRefused(field, f"is longer than {MAX_NAME_LENGTH} characters")
    if "\x00" in value:
        raise MessageRefused(field, "contains a NUL character")
    return value


def check_message(message: NewMessage) -> None:
    """Refuse what `publish` would refuse, without publishing it. Raises MessageRefused."""
    check_name(message.type, field="type")
    check_name(message.key, field="key")
    encode_payload(message.payload)
    encode_headers(message.headers)


def encode_payload(payload: Any, *, limit: int | None = None) -> str:
    """Return the payload as JSON; raises PayloadTooLarge or MessageRefused.

    `limit` is the setting OUTBOX_MAX_PAYLOAD_BYTES, for those who have read it already.
    """
    limit = settings.OUTBOX_MAX_PAYLOAD_BYTES if limit is None else limit
    return _encode(payload, field="payload", limit=limit)


def encode_headers(headers: Mapping[str, Any]) -> str:
    """Return the headers as JSON; raises MessageRefused."""
    if not headers:
        return "{}"
    return _encode(headers, field="headers", limit=MAX_HEADERS_BYTES)


def _encode(value: Any, *, field: str, limit: int) -> str:
    try:
        text = _encode_json(value)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageRefused(field, f"is not JSON: {error}") from error
    if size > limit:
        if field == "payload":
            raise PayloadTooLarge(size, limit)
        raise MessageRefused(field, f"have {size:,} bytes; the limit is {limit:,}")
    if "\\u0000" in text and _NUL.search(text):
        raise MessageRefused(field, "contains a NUL character")
    return text
