"""Signals: what the world tells a saga, kept until a step has waited for it."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import transaction

from outbox.audit import Actor, name_of
from sagas.core.happenings import Signalled
from sagas.core.state import ENDED
from sagas.engine import statements
from sagas.engine.intervening import record_happening, state_of
from sagas.exceptions import SagaNotFound, SignalRefused
from sagas.models import JournalEntry, Saga
from sagas.storable import NotStorableError, clean_text, encode_storable

# Signals that no step has taken yet are kept on the saga's row.
MAX_UNTAKEN = 100


def send_signal(
    saga_id: uuid.UUID, name: str, data: Any = None, *, message_id: str, actor: Actor = None
) -> str:
    """Send a signal to a saga and return "recorded", or "repeated" for a known message id.

    It may come before the step that waits for it; a paused saga takes it when it goes on. Raises
    SagaNotFound, and SignalRefused for a saga that has ended, a signal that no step of it waits
    for, and what cannot be stored.
    """
    _check(name, data, message_id)
    with transaction.atomic():
        saga = Saga.objects.select_for_update(no_key=True).filter(pk=saga_id).first()
        if saga is None:
            raise SagaNotFound(saga_id)
        if _is_known(saga, message_id):
            return "repeated"
        definition, state = state_of(saga)
        if state.status in ENDED:
            raise SignalRefused(f"The saga has ended: {state.status}.")
        known = sorted({step.signal for step in definition.steps if step.signal})
        if name not in known:
            names = ", ".join(known) or "none"
            raise SignalRefused(
                f"{definition.name} waits for no signal {name!r}; it does for: {names}."
            )
        if len(state.signals) >= MAX_UNTAKEN:
            raise SignalRefused(f"{MAX_UNTAKEN} signals wait already for a step to take them.")
        at = statements.read_clock()
        record_happening(saga, Signalled(at, name, data, name_of(actor), message_id))
    return "recorded"


def _check(name: str, data: Any, message_id: str) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= 100 or clean_text(name) != name:
        raise SignalRefused("name must be a text of 1 to 100 characters.")
    if not isinstance(message_id, str) or not 0 < len(message_id) <= 200:
        raise SignalRefused("message_id must be a text of 1 to 200 characters.")
    try:
        encode_storable(data, limit=settings.SAGAS_MAX_OUTPUT_BYTES)
    except NotStorableError as error:
        raise SignalRefused(f"data {error}.") from error


def _is_known(saga: Saga, message_id: str) -> bool:
    return JournalEntry.objects.filter(saga_id=saga.pk, data__message_id=message_id).exists()
