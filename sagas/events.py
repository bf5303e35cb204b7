"""What sagas tell the world: messages in the outbox, in the transaction of the change itself.

| type | payload beside saga_id, definition, version, business_key |
|---|---|
| saga.started | |
| saga.completed | outputs: {step: output}; null when they are too much for one message |
| saga.compensated | cause |
| saga.failed | cause |
| saga.abandoned | standing: the steps whose effects stand |
| compensation.failed | step, error |

The key is the saga's id, so the events of one saga keep their order.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings

from outbox.messages import NewMessage
from sagas.core.definition import Definition
from sagas.core.journal import Entry, Kind
from sagas.core.mapping import outputs
from sagas.core.state import SagaState
from sagas.storable import encode

# More than what a message holds beside the outputs.
ENVELOPE_BYTES = 4_096

_TYPES = {
    Kind.SAGA_STARTED: "saga.started",
    Kind.SAGA_COMPLETED: "saga.completed",
    Kind.SAGA_COMPENSATED: "saga.compensated",
    Kind.SAGA_FAILED: "saga.failed",
    Kind.ABANDONED: "saga.abandoned",
    Kind.UNDO_FAILED: "compensation.failed",
    Kind.UNDO_UNKNOWN: "compensation.failed",
}


def messages_of(
    definition: Definition,
    saga_id: uuid.UUID,
    business_key: str,
    entries: Iterable[Entry],
    state: SagaState,
    *,
    traceparent: str = "",
) -> list[NewMessage]:
    """Return the messages that these entries call for; `state` is the state after them."""
    messages = []
    key = str(saga_id)
    for entry in entries:
        type_ = _TYPES.get(entry.kind)
        # An undo that will be tried again has not failed yet.
        if type_ is None or (entry.step is not None and entry.data["wake_at"] is not None):
            continue
        payload = {
            "saga_id": key,
            "definition": definition.name,
            "version": definition.version,
            "business_key": business_key,
        } | _details(definition, entry, state)
        headers = {"traceparent": traceparent} if traceparent else {}
        messages.append(NewMessage(type_, key, payload, headers, saga_id))
    return messages


def _details(definition: Definition, entry: Entry, state: SagaState) -> dict[str, Any]:
    if entry.step is not None:
        return {"step": definition.steps[entry.step].name, "error": entry.data["error"]}
    if entry.kind == Kind.SAGA_COMPLETED:
        return {"outputs": _fitting(outputs(definition, state))}
    if entry.kind == Kind.SAGA_STARTED:
        return {}
    if entry.kind == Kind.ABANDONED:
        return {"standing": entry.data["standing"]}
    return {"cause": state.cause}


def _fitting(outputs: dict[str, Any]) -> dict[str, Any] | None:
    """Return what fits into a message, else None: a message that is refused would stop the saga."""
    limit = settings.OUTBOX_MAX_PAYLOAD_BYTES - ENVELOPE_BYTES
    if len(outputs) * settings.SAGAS_MAX_OUTPUT_BYTES <= limit:
        return outputs
    return outputs if len(encode(outputs).encode()) <= limit else None
