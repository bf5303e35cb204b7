"""What Django checks at the start of a service that uses the barrier."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from sagas.barrier.configuration import wrong_with_retention


@register()
def check_retention(**options: Any) -> list[CheckMessage]:
    """Refuse to forget calls that may still be repeated."""
    problem = wrong_with_retention()
    hint = "Keep calls for longer than the longest retry."
    return [Error(problem, hint=hint, id="sagas_barrier.E001")] if problem else []
