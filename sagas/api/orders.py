"""From requests to operators' orders."""

from __future__ import annotations

import re
import uuid
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from outbox.api.permissions import caller
from outbox.api.reading import read_key
from sagas.verbs import Order

_ETAG = re.compile(r'(?:W/)?"(\d{1,9})"|(\d{1,9})', re.ASCII)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def read_order(request: Request, body: dict[str, Any]) -> Order:
    """Return the order in a checked body and its headers. Raises ValidationError.

    Without a request id it gets one of its own: then a repeated request is a second order.
    """
    return Order(
        actor=caller(request),
        reason=body["reason"],
        request_id=read_key(request, body.get("request_id"), field="request_id")
        or str(uuid.uuid4()),
        version=_read_version(request, body.get("version")),
    )


def _read_version(request: Request, given: int | None) -> int | None:
    header = request.headers.get("If-Match", "").strip()
    if not header or header == "*":
        return given
    match = _ETAG.fullmatch(header)
    if match is None:
        raise ValidationError({"version": ["If-Match must hold a version, as ETag tells it."]})
    version = int(match[1] or match[2])
    if given is not None and given != version:
        raise ValidationError({"version": ["It differs from the If-Match header."]})
    return version


def read_traceparent(request: Request) -> str:
    """Return the W3C trace context of a request; what is none is ignored, as its standard says."""
    header = request.headers.get("traceparent", "").strip()
    return header if _TRACEPARENT.fullmatch(header) else ""
