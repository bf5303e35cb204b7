"""Entry: a message or a reply becomes a dead letter, in the transaction in which it died."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from dlq.fingerprints import fingerprint
from dlq.models import DeadLetter
from outbox.dying import DeadDelivery
from outbox.errors import clean_text, describe
from outbox.uuid7 import uuid7

MAX_NAME_LENGTH = 200

# NUL in JSON, which jsonb cannot hold; behind an odd number of backslashes it is one.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class Burial:
    """What died, where it was going, and why. `attempts` are [{"at", "error_class", "message",
    "trace"}], oldest first; the last one is why it died. Without "at" it is now.
    """

    source: str
    destination: str
    message_id: str
    reason: str
    payload: Any
    attempts: Sequence[Mapping[str, str]]
    type: str = ""
    key: str = ""
    headers: Mapping[str, Any] | None = None
    saga_id: UUID | None = None


# A letter that is still open, or being reprocessed, takes the new attempts instead of a copy.
_BURY = """
WITH new AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%s::jsonb) AS n(
        id uuid, source text, reason text, destination text, message_id text, type text, key text,
        payload text, headers text, saga_id uuid, error_class text, error_message text,
        fingerprint text, attempts jsonb)
), letter AS (
    INSERT INTO dlq_deadletter AS old (
        id, status, source, reason, destination, message_id, type, key, payload, headers, saga_id,
        error_class, error_message, fingerprint, attempts, version, settled_by, settle_reason,
        last_request_id)
    SELECT id, 'open', source, reason, destination, message_id, type, key,
           payload::jsonb, headers::jsonb, saga_id, error_class, error_message, fingerprint,
           jsonb_array_length(attempts), 1, '', '', ''
    FROM new
    ON CONFLICT (source, destination, message_id) WHERE status IN ('open', 'reprocessing')
    DO UPDATE SET
        status = 'open', reason = excluded.reason, error_class = excluded.error_class,
        error_message = excluded.error_message, fingerprint = excluded.fingerprint,
        attempts = old.attempts + excluded.attempts, version = old.version + 1
    RETURNING id, source, destination, message_id, attempts
), attempt AS (
    INSERT INTO dlq_attempt (letter_id, number, at, error_class, error_message, trace)
    SELECT letter.id, letter.attempts - jsonb_array_length(new.attempts) + a.nr,
           coalesce(a.value->>'at', statement_timestamp()::text)::timestamptz,
           a.value->>'error_class', a.value->>'message', coalesce(a.value->>'trace', '')
    FROM new JOIN letter USING (source, destination, message_id)
    CROSS JOIN jsonb_array_elements(new.attempts) WITH ORDINALITY AS a(value, nr)
)
SELECT source, destination, message_id, id FROM letter
"""


def bury(burials: Sequence[Burial]) -> list[UUID]:
    """Write dead letters in one statement, in the caller's transaction; return their ids in order.

    Safe to call twice: what is open already gets the attempts added and a new version, and what
    was being reprocessed is open again.
    """
    # ON CONFLICT takes a row once per statement; the last of several is the latest.
    rows = {_identity(burial): _row(burial) for burial in burials}
    with connection.cursor() as cursor:
        cursor.execute(_BURY, [json.dumps(list(rows.values()), default=str)])
        ids = {(source, to, message): id_ for source, to, message, id_ in cursor.fetchall()}
    return [ids[_identity(burial)] for burial in burials]


def bury_deliveries(dead: Sequence[DeadDelivery]) -> Mapping[int, UUID]:
    """Bury outbox deliveries that nobody could take; return the letters by delivery."""
    burials = [
        Burial(
            source=DeadLetter.Source.OUTBOX,
            destination=delivery.route,
            message_id=delivery.message_id,
            reason=delivery.reason,
            payload=delivery.payload,
            attempts=delivery.errors,
            type=delivery.type,
            key=delivery.key,
            headers=delivery.headers,
            saga_id=delivery.saga_id,
        )
        for delivery in dead
    ]
    return {d.id: letter for d, letter in zip(dead, bury(burials), strict=True)}


def bury_reply(
    *,
    participant: str,
    message_id: str,
    payload: Any,
    headers: Mapping[str, Any],
    reason: str,
    error_class: str,
    error_message: str,
    saga_id: UUID | None = None,
    type: str = "",
    key: str = "",
) -> UUID:
    """Bury a participant's reply that nobody waits for, or that cannot be read; return its letter.

    `reason` is one of DeadLetter.Reason. The same message buried again adds an attempt.
    """
    burial = Burial(
        source=DeadLetter.Source.REPLY,
        destination=participant,
        message_id=message_id,
        reason=reason,
        payload=payload,
        attempts=[{"error_class": error_class, "message": error_message}],
        type=type,
        key=key,
        headers=headers,
        saga_id=saga_id,
    )
    return bury([burial])[0]


def bury_again(letter: DeadLetter, error: Exception) -> None:
    """Add a failed attempt to a letter that was being reprocessed; it is open again."""
    burial = Burial(
        source=letter.source,
        destination=letter.destination,
        message_id=letter.message_id,
        reason=letter.reason,
        payload=None,
        attempts=[describe(error)],
    )
    bury([burial])


def _identity(burial: Burial) -> tuple[str, str, str]:
    return str(burial.source), _name(burial.destination), _name(burial.message_id)


def _row(burial: Burial) -> dict[str, Any]:
    last = burial.attempts[-1]
    error_class, message = _name(last["error_class"]), clean_text(last["message"])
    destination = _name(burial.destination)
    return {
        "id": uuid7(),
        "source": burial.source,
        "reason": burial.reason,
        "destination": destination,
        "message_id": _name(burial.message_id),
        "type": _name(burial.type),
        "key": _name(burial.key),
        "payload": _storable_json(burial.payload),
        "headers": _storable_json(burial.headers or {}),
        "saga_id": burial.saga_id,
        "error_class": error_class,
        "error_message": message,
        "fingerprint": fingerprint(destination, error_class, message),
        "attempts": [_attempt(attempt) for attempt in burial.attempts],
    }


def _attempt(attempt: Mapping[str, str]) -> dict[str, str]:
    return {
        **attempt,
        "error_class": _name(attempt["error_class"]),
        "message": clean_text(attempt["message"]),
    }


def _name(text: str) -> str:
    return clean_text(text)[:MAX_NAME_LENGTH]


def _storable_json(value: Any) -> str:
    """Return JSON that PostgreSQL can hold: a poisonous reply must not poison its own burial."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        text = json.dumps(clean_text(str(value)))
    except RecursionError:
        text = json.dumps(reprlib.repr(value))
    return _NUL.sub(r"\1\\ufffd", text.encode(errors="replace").decode())
