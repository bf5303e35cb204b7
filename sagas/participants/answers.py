"""What HTTP answers mean: the rules of our own protocol, and the defaults of described APIs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from django.conf import settings

from sagas.participants.calls import describe
from sagas.storable import NotStorableError, encode_storable

# The participant said that it did not take the request: nothing has happened there.
_NOT_TAKEN = frozenset({425, 429, 503})
_RETRYABLE = frozenset({408, 425, 429})


class Answer(NamedTuple):
    """What came back. `outcome` is succeeded, accepted, failed, unknown; of a probe absent, too."""

    outcome: str
    output: Any = None
    error: dict[str, Any] = {}
    retry_after_s: float | None = None
    in_doubt: bool = False


def as_told(probed: Answer) -> Answer:
    """Return the answer of a described probe as a participant of our own protocol gives it."""
    if probed.outcome == "unknown":
        return probed
    error = {"code": probed.error.get("class"), "message": probed.error.get("message")}
    told = {"outcome": probed.outcome, "output": probed.output, "error": error}
    return Answer("succeeded", output=told)


class Response(NamedTuple):
    """An HTTP response; the names of its headers are in small letters."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


def is_retryable(status: int) -> bool:
    return status in _RETRYABLE or status >= 500


def may_have_taken_effect(status: int) -> bool:
    """Say whether a call that is to be tried again after this status may have done something."""
    return status not in _NOT_TAKEN and (status < 400 or status == 408 or status >= 500)


def read_answer(
    status: int, body: bytes, retry_after: str | None, *, date: str | None = None
) -> Answer:
    """Return what a response means. `retry_after` and `date` are its headers of that name."""
    if status == 202:
        return Answer("accepted")
    if 200 <= status < 300:
        return _success(body)
    retryable = is_retryable(status)
    error = describe(f"HTTP{status}", message_of(status, body), retryable=retryable)
    in_doubt = retryable and may_have_taken_effect(status)
    return Answer(
        "failed", error=error, retry_after_s=pause_of(retry_after, date), in_doubt=in_doubt
    )


def _success(body: bytes) -> Answer:
    if not body:
        return Answer("succeeded")
    if len(body) > settings.SAGAS_MAX_OUTPUT_BYTES:
        limit = settings.SAGAS_MAX_OUTPUT_BYTES
        return invalid(f"Its answer has more bytes than can be kept; {limit:,} are allowed.")
    try:
        output = json.loads(body)
    except (ValueError, RecursionError) as error:
        return invalid(str(error))
    return success(output)


def success(output: Any) -> Answer:
    """Return the success with this output, if that can be kept."""
    try:
        encode_storable(output, limit=settings.SAGAS_MAX_OUTPUT_BYTES)
    except NotStorableError as error:
        return invalid(f"Its answer {error}.")
    return Answer("succeeded", output=output)


def invalid(message: str) -> Answer:
    """Return the answer of one that did what it was asked for, but whose words cannot be kept."""
    return Answer(
        "failed", error=describe("InvalidAnswer", message, retryable=False), in_doubt=True
    )


def message_of(status: int, body: bytes) -> str:
    """Return what a body says of an error, as far as its shape is a usual one."""
    try:
        data = json.loads(body)
        error = data.get("error", data)
        if isinstance(error, dict):
            return str(error.get("message") or error.get("code") or error)
        return str(error)
    except (ValueError, AttributeError, RecursionError):
        return body[:500].decode("utf-8", "replace") or f"HTTP status {status}"


def pause_of(retry_after: str | None, date: str | None) -> float | None:
    """Read Retry-After: seconds or a date (RFC 9110, 10.2.3).

    A date is taken from the date of the answer itself: whose clock is wrong does not matter.
    """
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        pause = parsedate_to_datetime(retry_after) - parsedate_to_datetime(date or "")
        return max(0.0, pause.total_seconds())
    except (ValueError, TypeError):
        return None
