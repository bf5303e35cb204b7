"""What operators do with routes."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from outbox.audit import Actor, log_verb, name_of
from outbox.exceptions import RouteNotFound
from outbox.models import Route
from outbox.publishing import RELAY_TASK
from outbox.waking import wake_on_commit


def pause_route(route: Route | str, *, actor: Actor, reason: str) -> bool:
    """Stop publishing to a route; messages for it are kept. Return False when it was paused.

    A batch that a relay is sending at this moment still goes out. Raises RouteNotFound.
    """
    with transaction.atomic():
        found = _lock(route)
        if found.paused_at is not None:
            return False
        Route.objects.filter(pk=found.pk).update(
            paused_at=Now(), paused_by=name_of(actor), pause_reason=reason
        )
        log_verb(actor, [found], "pause", reason)
    return True


def resume_route(route: Route | str, *, actor: Actor, reason: str = "") -> bool:
    """Go on publishing to a route. Return False when it was not paused. Raises RouteNotFound."""
    with transaction.atomic():
        found = _lock(route)
        if found.paused_at is None:
            return False
        Route.objects.filter(pk=found.pk).update(paused_at=None, paused_by="", pause_reason="")
        log_verb(actor, [found], "resume", reason)
        wake_on_commit(RELAY_TASK)
    return True


def takes(route: Route, type: str) -> bool:
    """Say whether messages of a type go to a route, by the rule of `publish()`."""
    return any(
        type.startswith(pattern[:-1]) if pattern.endswith("*") else type == pattern
        for pattern in map(str, route.types)
    )


def _lock(route: Route | str) -> Route:
    name = route.name if isinstance(route, Route) else route
    found = Route.objects.select_for_update().filter(name=name).first()
    if found is None:
        raise RouteNotFound(name)
    return found
