"""Who did what, when, why, to what: rows of Django's admin log."""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

# A program without an account, or nobody in particular, is None or anonymous.
Actor = AbstractBaseUser | AnonymousUser | None


def name_of(actor: Actor) -> str:
    """Return the name to keep beside what an actor did; "system" for none."""
    return (actor.get_username() if actor else "") or "system"


def log_verb(actor: Actor, targets: Iterable[Model], verb: str, reason: str) -> None:
    """Write one row per target, in the caller's transaction; without an actor none.

    `change_message` is JSON: {"verb": ..., "reason": ...}.
    """
    if actor is None or actor.pk is None:
        return
    message = json.dumps({"verb": verb, "reason": reason}, ensure_ascii=False)
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=actor.pk,
            content_type=ContentType.objects.get_for_model(target),
            object_id=str(target.pk),
            object_repr=str(target)[:200],
            action_flag=CHANGE,
            change_message=message,
        )
        for target in targets
    )
