"""The dialogs that pause and resume a named row: a route, a participant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from outbox.console.dialogs import Dialog
from outbox.pages import OptionalReasonForm


class Pausable(Protocol):
    @property
    def paused_at(self) -> object: ...


def pausing(
    permission: str, act: Callable[..., bool], *, consequence: str | Promise, done: str | Promise
) -> Dialog:
    """Return the dialog that pauses a row of some kind."""
    return Dialog(
        permission,
        act,
        title=gettext_lazy("Pause %(name)s"),
        button=gettext_lazy("Pause"),
        consequence=consequence,
        done=done,
        refuse=_is_paused,
    )


def resuming(
    permission: str, act: Callable[..., bool], *, consequence: str | Promise, done: str | Promise
) -> Dialog:
    """Return the dialog that resumes a row of some kind; that needs no reason."""
    return Dialog(
        permission,
        act,
        title=gettext_lazy("Resume %(name)s"),
        button=gettext_lazy("Resume"),
        consequence=consequence,
        done=done,
        form=OptionalReasonForm,
        refuse=_is_not_paused,
    )


def _is_paused(row: Pausable) -> str:
    return "" if row.paused_at is None else _("It is paused already.")


def _is_not_paused(row: Pausable) -> str:
    return _("It is not paused.") if row.paused_at is None else ""
