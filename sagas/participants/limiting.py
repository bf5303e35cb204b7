"""What operators do about the limits and breakers of participants."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from outbox.audit import Actor, log_verb
from sagas.models import Participant

LIMITS = (
    "max_concurrency",
    "max_rate",
    "breaker_failures",
    "breaker_ratio",
    "breaker_window_s",
    "breaker_open_s",
)


def limit_participant(
    participant: Participant, limits: dict[str, Any], *, actor: Actor, reason: str
) -> bool:
    """Change limits (some of LIMITS; None: none), for all workers within a second.

    Says whether that changed anything. Raises Django's ValidationError for what is no limit.
    """
    with transaction.atomic():
        row = Participant.objects.select_for_update(no_key=True).get(pk=participant.pk)
        before = {name: getattr(row, name) for name in limits}
        changed = {name: value for name, value in limits.items() if value != before[name]}
        for name, value in changed.items():
            setattr(row, name, value)
        if changed:
            row.full_clean()
            row.save(update_fields=list(changed))
            told = ", ".join(f"{name} {before[name]} → {changed[name]}" for name in changed)
            log_verb(actor, [row], "limit", f"{told}: {reason}")
    return bool(changed)


def close_breaker(participant: Participant, *, actor: Actor, reason: str) -> None:
    """Close the breaker of a participant in all workers within a second. Safe to repeat.

    It opens again when calls go on failing.
    """
    with transaction.atomic():
        Participant.objects.filter(pk=participant.pk).update(breaker_reset_at=Now())
        log_verb(actor, [participant], "close_breaker", reason)
