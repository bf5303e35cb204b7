"""Replies of participants: correlated, stored once, and buried when nobody waits for them.

{"message_id": "...", "correlation_id": "{saga}/{step}/do", "attempt": 1,
 "outcome": "succeeded" | "failed", "output": ..., "error": {"code", "message"},
 "retryable": false}
"""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction

from dlq.burying import bury_reply
from dlq.models import DeadLetter
from sagas import catalogue
from sagas.core import happenings as h
from sagas.core.state import ENDED, Direction, SagaState, SagaStatus, StepState, StepStatus
from sagas.engine import statements
from sagas.engine.intervening import record_happening, state_of
from sagas.models import ArchivedSaga, JournalEntry, Participant, Saga, SagaStart
from sagas.participants.calls import describe
from sagas.participants.secrets import redact_json, secrets_named_in
from sagas.storable import NotStorableError, encode_storable

_DIRECTIONS = {"do": Direction.FORWARD, "undo": Direction.BACKWARD}


class Reply(NamedTuple):
    """A reply that could be read."""

    saga_id: uuid.UUID
    step: str
    direction: Direction
    attempt: int
    message_id: str
    outcome: str
    output: Any
    error: dict[str, Any]


class UnansweredReply(ValueError):
    """Nobody can use the reply; it becomes a dead letter with this reason."""

    def __init__(
        self, reason: DeadLetter.Reason, message: str, saga_id: uuid.UUID | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.saga_id = saga_id


class InvalidReply(UnansweredReply):
    """The reply cannot be understood."""

    def __init__(self, message: str, saga_id: uuid.UUID | None = None) -> None:
        super().__init__(DeadLetter.Reason.POISON, message, saga_id)


def take_reply(
    payload: Any, *, participant: str = "", headers: dict[str, Any] | None = None
) -> str:
    """Take one reply and say what became of it: recorded, repeated or buried.

    Safe to call twice with the same message_id. A reply that cannot be read, or that answers no
    saga that could still use it, is kept as a dead letter with the reason. A secret of the
    participant that it repeats is kept nowhere.
    """
    payload = _without_secrets(payload)
    try:
        return record_reply(payload)
    except UnansweredReply as error:
        message_id = payload.get("message_id") if isinstance(payload, dict) else None
        bury_reply(
            participant=participant or "unknown",
            message_id=str(message_id or uuid.uuid4())[:200],
            payload=payload,
            headers=headers or {},
            reason=error.reason,
            error_class=type(error).__name__,
            error_message=str(error),
            saga_id=error.saga_id,
            type="reply",
        )
        return "buried"


def _without_secrets(payload: Any) -> Any:
    """Return the payload without what the participant was sent as a secret.

    Of one that cannot be told apart from others, without all that anybody was sent.
    """
    secrets = settings.SAGAS_SECRETS
    if not secrets or redact_json(payload, secrets) == payload:
        return payload
    correlation_id = payload.get("correlation_id") if isinstance(payload, dict) else None
    name = participant_of(str(correlation_id))
    row = Participant.objects.filter(name=name).first()
    return redact_json(payload, secrets_named_in(row.api) if row else secrets)


def participant_of(correlation_id: str) -> str:
    """Return who was called under this key; "" where that cannot be said any more."""
    try:
        saga_id, step, _ = _read_correlation(correlation_id)
        saga = Saga.objects.only("definition_id").get(pk=saga_id)
        definition = catalogue.compiled({saga.definition_id})[saga.definition_id]
        return definition.steps[definition.index_of(step)].participant
    except (InvalidReply, KeyError, Saga.DoesNotExist):
        return ""


def record_reply(payload: Any) -> str:
    """Record one reply in its saga's journal and return "recorded", or "repeated".

    Raises UnansweredReply when it cannot be read or when no saga could use it.
    """
    reply = read_reply(payload)
    with transaction.atomic():
        saga = Saga.objects.select_for_update(no_key=True).filter(pk=reply.saga_id).first()
        if saga is None:
            raise _nobody_waits(reply.saga_id)
        return _record(saga, reply)


def read_reply(payload: Any) -> Reply:
    """Return the reply in a payload. Raises InvalidReply, which says what is wrong with it."""
    if not isinstance(payload, dict):
        raise InvalidReply("A reply is a JSON object.")
    message_id = payload.get("message_id")
    if not isinstance(message_id, str) or not 0 < len(message_id) <= 200:
        raise InvalidReply("message_id must be a text of 1 to 200 characters.")
    attempt = payload.get("attempt", 1)
    if not isinstance(attempt, int) or isinstance(attempt, bool) or not 1 <= attempt <= 1_000_000:
        raise InvalidReply("attempt must be a number from 1 on.")
    outcome = payload.get("outcome")
    if outcome not in ("succeeded", "failed"):
        raise InvalidReply('outcome must be "succeeded" or "failed".')
    saga_id, step, direction = _read_correlation(payload.get("correlation_id"))
    return Reply(
        saga_id,
        step,
        direction,
        attempt,
        message_id,
        outcome,
        _checked_output(payload.get("output")),
        _read_error(payload),
    )


def _read_correlation(correlation_id: Any) -> tuple[uuid.UUID, str, Direction]:
    try:
        saga_id, rest = str(correlation_id).split("/", 1)
        parts = rest.split("/")
        # A step's name may hold slashes; "do" or "undo" comes last, or last but one.
        place = -1 if parts[-1] in _DIRECTIONS else -2
        return uuid.UUID(saga_id), "/".join(parts[:place]), _DIRECTIONS[parts[place]]
    except (ValueError, KeyError, IndexError) as error:
        raise InvalidReply(
            f"correlation_id {correlation_id!r} is not the Idempotency-Key of a call: "
            "{saga}/{step}/do or {saga}/{step}/undo."
        ) from error


def _checked_output(output: Any) -> Any:
    try:
        encode_storable(output, limit=settings.SAGAS_MAX_OUTPUT_BYTES)
    except NotStorableError as error:
        raise InvalidReply(f"output {error}.") from error
    return output


def _read_error(payload: dict[str, Any]) -> dict[str, Any]:
    if payload["outcome"] == "succeeded":
        return {}
    error = payload.get("error") or {}
    if not isinstance(error, dict):
        error = {"message": str(error)}
    return describe(
        str(error.get("code") or "Refused"),
        str(error.get("message") or "The participant reported a failure."),
        retryable=payload.get("retryable") is True,
    )


def _record(saga: Saga, reply: Reply) -> str:
    definition, state = state_of(saga)
    try:
        index = definition.index_of(reply.step)
    except KeyError:
        text = f"{definition.name} has no step {reply.step!r}."
        raise InvalidReply(text, saga.pk) from None
    if _is_known(saga, reply):
        return "repeated"
    if reply.attempt > _attempts_made(state.steps[index], reply.direction):
        # A call is recorded before it leaves, so nobody can be faster than that.
        text = f"{reply.step!r} has not been called so often: attempt {reply.attempt}."
        raise InvalidReply(text, saga.pk)
    if state.status in ENDED and not _leaves_an_effect(state, index, reply):
        text = f"The saga has ended: {state.status}."
        raise UnansweredReply(DeadLetter.Reason.FINISHED_SAGA, text, saga.pk)
    at = statements.read_clock()
    where = (index, reply.direction, reply.attempt)
    happening: h.Result
    if reply.outcome == "succeeded":
        happening = h.Succeeded(at, *where, reply.output)
    else:
        happening = h.Failed(at, *where, reply.error)
    record_happening(saga, happening, remark={"message_id": reply.message_id})
    return "recorded"


def _nobody_waits(saga_id: uuid.UUID) -> UnansweredReply:
    """Say whether the saga was there once: in the archive, or as the idempotency key it left."""
    archived = ArchivedSaga.objects.filter(pk=saga_id).values_list("status", flat=True).first()
    if archived:
        text = f"The saga has ended: {archived}. It was archived."
        return UnansweredReply(DeadLetter.Reason.FINISHED_SAGA, text, saga_id)
    if SagaStart.objects.filter(pk=saga_id, released_at__isnull=False).exists():
        text = "The saga has ended and is not kept any more."
        return UnansweredReply(DeadLetter.Reason.FINISHED_SAGA, text, saga_id)
    text = f"There is no saga {saga_id}."
    return UnansweredReply(DeadLetter.Reason.UNKNOWN_SAGA, text)


def _leaves_an_effect(state: SagaState, index: int, reply: Reply) -> bool:
    """Say whether the reply tells of an effect that the undone saga knew nothing of."""
    return (
        state.status == SagaStatus.COMPENSATED
        and reply.outcome == "succeeded"
        and reply.direction == Direction.FORWARD
        and state.steps[index].status in (StepStatus.PENDING, StepStatus.FAILED, StepStatus.UNKNOWN)
    )


def _attempts_made(step: StepState, direction: Direction) -> int:
    return step.attempt if direction == Direction.FORWARD else step.undo_attempt


def _is_known(saga: Saga, reply: Reply) -> bool:
    return JournalEntry.objects.filter(saga_id=saga.pk, data__message_id=reply.message_id).exists()


def reprocess_reply(letter: DeadLetter) -> None:
    """Try a dead reply again: record it, or raise UnansweredReply."""
    record_reply(letter.payload)
