"""One call of a participant: what it is given, and the errors it may answer with."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, NamedTuple

# A local callable raises it to say no for good: the step is not tried again.
from sagas.barrier.exceptions import BusinessFailure as BusinessFailure
from sagas.core.state import Direction
from sagas.storable import clean_text

# Longer error texts are cut: they are for people, and a journal row has to stay small.
MAX_ERROR_CHARS = 8_192


class Call(NamedTuple):
    """What a participant is told; a local callable gets it as its only argument."""

    saga_id: uuid.UUID
    business_key: str
    definition: str
    step: str
    action: str
    direction: Direction
    attempt: int
    # Stable over all attempts of one step and direction.
    idempotency_key: str
    deadline: datetime
    input: Any
    # What the steps before returned, by step name.
    outputs: dict[str, Any]
    traceparent: str = ""
    # Of an undo: the key of the action that it takes back, with all before it (/do, /do/2, ...).
    undoes: str = ""


def describe(error_class: str, message: str, *, retryable: bool) -> dict[str, Any]:
    """Return an error as the journal keeps it: {"class", "message", "retryable"}."""
    return {
        "class": clean_text(error_class)[:200],
        "message": clean_text(message[:MAX_ERROR_CHARS]),
        "retryable": retryable,
    }
