"""Tags for what the engine has stored."""

from __future__ import annotations

from typing import Any

from django import template

from sagas.locks import locks_of
from sagas.models import Saga

register = template.Library()


@register.inclusion_tag("console/_saga_locks.html", takes_context=True)
def saga_locks(context: dict[str, Any], saga: Saga) -> dict[str, Any]:
    """Show the locks that a saga holds, and who waits for them."""
    return {"locks": locks_of(saga), "saga": saga, "perms": context["perms"]}
