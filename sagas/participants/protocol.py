"""Our own protocol: POST {address}/{action} with a JSON body.

The request:

    Idempotency-Key: {saga}/{step}/do      (or /undo; stable over all attempts)
    Sagadesk-Undoes: {saga}/{step}/do      (of an undo: the action that it takes back)
    traceparent, Sagadesk-Deadline (RFC 3339), Sagadesk-Callback (where a reply may go)
    {"saga_id", "business_key", "definition", "step", "action", "direction", "attempt",
     "input": ..., "outputs": {"Step": ...}}

The answer: 2xx with JSON is success, 202 says that the reply follows (to /api/v1/replies/);
408, 425, 429 and 5xx are tried again (`Retry-After` is obeyed), any other 4xx is a "no".
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from django.conf import settings

from sagas.callbacks import callback_address
from sagas.participants.answers import Answer, Response, read_answer
from sagas.participants.calls import Call


class Request(NamedTuple):
    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None

    def __repr__(self) -> str:
        # Headers hold secrets, and whoever reports an error shows what the frames hold.
        return f"<{self.method} {self.url}>"


class ProtocolCall(NamedTuple):
    """One call by our own protocol."""

    address: str
    call: Call

    @property
    def max_bytes(self) -> int:
        limit: int = settings.SAGAS_MAX_OUTPUT_BYTES
        return limit

    def request(self) -> Request:
        url = f"{self.address.rstrip('/')}/{self.call.action}"
        return Request("POST", url, _headers(self.call), _encode(body_of(self.call)))

    def read(self, response: Response) -> Answer:
        headers = response.headers
        return read_answer(
            response.status, response.body, headers.get("retry-after"), date=headers.get("date")
        )


def own_headers(call: Call) -> dict[str, str]:
    """Return the headers of every call, whatever the service speaks."""
    headers = {"Accept": "application/json", "User-Agent": "Sagadesk"}
    if call.traceparent:
        headers["traceparent"] = call.traceparent
    return headers


def _headers(call: Call) -> dict[str, str]:
    headers = own_headers(call) | {
        "Content-Type": "application/json",
        "Idempotency-Key": _as_header(call.idempotency_key),
        "Sagadesk-Deadline": call.deadline.isoformat(),
    }
    if call.undoes:
        headers["Sagadesk-Undoes"] = _as_header(call.undoes)
    if callback := callback_address(call):
        headers["Sagadesk-Callback"] = callback
    return headers


def _as_header(key: str) -> str:
    return key.encode("utf-8").decode("latin-1")


def body_of(call: Call) -> dict[str, Any]:
    """Return what a participant is told, over HTTP or in a message."""
    return {
        "saga_id": str(call.saga_id),
        "business_key": call.business_key,
        "definition": call.definition,
        "step": call.step,
        "action": call.action,
        "direction": call.direction,
        "attempt": call.attempt,
        "input": call.input,
        "outputs": call.outputs,
    }


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
