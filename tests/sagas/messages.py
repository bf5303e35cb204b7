"""Participants reached by messages: their rows, their routes, and the commands they were sent."""

from __future__ import annotations

from typing import Any

from outbox.models import Message, Route
from sagas.models import Participant, Saga
from tests.builders import make_participant
from tests.outbox.builders import make_route

COMMANDS = "sagadesk:test-commands"


def reach_by_messages(*names: str, **overrides: Any) -> Route:
    """Let these participants be reached by messages; return the route of their commands."""
    for name in names:
        make_participant(name, transport=Participant.Transport.MESSAGE)
    types = [f"command.{name}.*" for name in names]
    return make_route("commands", **({"types": types, "target": COMMANDS} | overrides))


def commands_of(saga: Saga) -> list[Message]:
    """Return what was sent for a saga, oldest first."""
    return list(Message.objects.filter(saga_id=saga.pk, type__startswith="command.").order_by("pk"))


def reply_to(command: Message, outcome: str = "succeeded", **more: Any) -> dict[str, Any]:
    """Return the reply of a participant that has worked off a command."""
    return {
        "message_id": f"reply-{command.pk}",
        "correlation_id": command.headers["correlationid"],
        "attempt": command.headers["attempt"],
        "outcome": outcome,
        **more,
    }
