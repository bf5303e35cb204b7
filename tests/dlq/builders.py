"""Dead letters for tests: defaults plus overrides."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dlq.burying import bury_reply
from dlq.models import DeadLetter
from outbox.models import Delivery, Route
from outbox.relay import drain
from tests.outbox.builders import ScriptedTransport, make_route, publish_numbers, refuse


def make_reply_letter(message_id: str = "m-1", **overrides: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "participant": "payments",
        "payload": {"ok": True},
        "headers": {},
        "reason": DeadLetter.Reason.UNKNOWN_SAGA,
        "error_class": "UnknownSaga",
        "error_message": "There is no saga 1.",
    }
    return letter(bury_reply(message_id=message_id, **(fields | overrides)))


def kill_numbers(
    transport: ScriptedTransport, *numbers: int, key: str = "k", **route: Any
) -> list[DeadLetter]:
    """Publish numbers that die at their first attempt; the transport refuses them from then on."""
    if not Route.objects.filter(name="test").exists():
        make_route(max_attempts=1, **route)
    transport.refuses = refuse(*numbers)
    publish_numbers(*numbers, key=key)
    drain()
    ids = Delivery.objects.filter(message__payload__n__in=numbers).values("message_id")
    texts = [str(row["message_id"]) for row in ids]
    return list(DeadLetter.objects.filter(message_id__in=texts).order_by("id"))


def letter(letter_id: UUID) -> DeadLetter:
    return DeadLetter.objects.get(pk=letter_id)
