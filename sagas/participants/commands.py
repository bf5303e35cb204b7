"""Commands as messages: what a participant gets that is reached through the outbox.

A command has the type `command.{participant}.{action}` and the saga's id as its key, so that a
saga's commands keep their order. Its payload is the body of our own protocol; its headers are

    participant, direction, attempt, deadline (RFC 3339), replyto (the stream of replies)
    idempotencykey, correlationid: {saga}/{step}/do (or /undo), stable over all attempts
    undoes (of an undo: the idempotency key of the action that it takes back)
    callback (where a reply may go over HTTP), traceparent, if there are any
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings

from outbox.messages import NewMessage, check_message
from outbox.models import Route
from outbox.routes import takes
from sagas.callbacks import callback_address
from sagas.participants.calls import Call
from sagas.participants.protocol import body_of


def command_type(participant: str, action: str) -> str:
    return f"command.{participant}.{action}"


def takers(routes: Iterable[Route], participant: str, action: str) -> list[Route]:
    """Return those of the routes that take the commands for an action."""
    wanted = command_type(participant, action)
    return [route for route in routes if takes(route, wanted)]


def command_of(participant: str, call: Call) -> NewMessage:
    """Return the message for a call. Raises MessageRefused for what none can hold."""
    headers: dict[str, Any] = {
        "participant": participant,
        "direction": call.direction,
        "attempt": call.attempt,
        "deadline": call.deadline.isoformat(),
        "idempotencykey": call.idempotency_key,
        "correlationid": call.idempotency_key,
        "undoes": call.undoes,
        "replyto": settings.SAGAS_REPLIES_STREAM,
        "callback": callback_address(call),
        "traceparent": call.traceparent,
    }
    message = NewMessage(
        command_type(participant, call.action),
        str(call.saga_id),
        body_of(call),
        {name: value for name, value in headers.items() if value},
        call.saga_id,
    )
    check_message(message)
    return message
