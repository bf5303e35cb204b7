"""One call of a participant: what it is given, and the errors it may answer with."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

# A local callable raises it to say no for good: the step is not tried again.
from sagas.barrier.exceptions import BusinessFailure as BusinessFailure
from sagas.core.definition import Definition
from sagas.core.mapping import outputs
from sagas.core.moves import Run, idempotency_key, key_undone
from sagas.core.state import Direction, SagaState
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


class Caller(Protocol):
    """A saga that calls a participant: one in hand, or one in memory."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def name(self) -> str:
        """The id as text, which every key has in it."""

    @property
    def business_key(self) -> str: ...
    @property
    def definition(self) -> Definition: ...
    @property
    def traceparent(self) -> str: ...


def call_of(saga: Caller, run: Run, input: Any, *, state: SagaState, now: float) -> Call:
    """Return what the participant of this run is told, in this state; `now` in seconds."""
    definition = saga.definition
    step = definition.steps[run.step]
    action = step.action if run.direction == Direction.FORWARD else step.compensation or ""
    return Call(
        saga_id=saga.id,
        business_key=saga.business_key,
        definition=definition.name,
        step=step.name,
        action=step.probe if run.probe else action,
        direction=run.direction,
        attempt=run.attempt,
        idempotency_key=idempotency_key(saga.name, step.name, run),
        deadline=datetime.fromtimestamp(now + step.timeout_s, UTC),
        input=input,
        outputs=outputs(definition, state),
        traceparent=saga.traceparent,
        undoes=key_undone(saga.name, step.name, run, state),
    )


def describe(error_class: str, message: str, *, retryable: bool) -> dict[str, Any]:
    """Return an error as the journal keeps it: {"class", "message", "retryable"}."""
    return {
        "class": clean_text(error_class)[:200],
        "message": clean_text(message[:MAX_ERROR_CHARS]),
        "retryable": retryable,
    }
