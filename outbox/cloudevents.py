"""Messages as others see them: CloudEvents 1.0 attributes (https://cloudevents.io)."""

from __future__ import annotations

import json

from django.conf import settings

from outbox.relay_statements import Pending

SPEC_VERSION = "1.0"


def source() -> str:
    """Return what this installation calls itself in its messages."""
    return str(settings.OUTBOX_SOURCE)


def structured(message: Pending) -> str:
    """Return a message in CloudEvents' JSON format; its headers are extension attributes.

    {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", ..., "data"}
    """
    attributes = json.loads(message.headers) | {
        "specversion": SPEC_VERSION,
        "id": message.message_id,
        "source": source(),
        "type": message.type,
        "subject": message.key,
        "time": message.time,
        "datacontenttype": "application/json",
    }
    # The payload is JSON already.
    return f'{json.dumps(attributes)[:-1]}, "data": {message.payload}}}'
