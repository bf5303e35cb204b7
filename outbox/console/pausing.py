"""The dialog that pauses or resumes a named row: a route, a participant."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from outbox.pages import (
    OptionalReasonForm,
    Question,
    ReasonForm,
    actor_of,
    address_to_return_to,
    ask,
    new_request_id,
)


class Pausable(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def paused_at(self) -> object: ...


class Dialog(NamedTuple):
    """One of the two dialogs for a kind of row; `consequence` and `done` have a %(name)s."""

    pauses: bool
    permission: str
    act: Callable[..., bool]
    consequence: str | Promise
    done: str | Promise


def ask_and_do(
    request: HttpRequest, row: Pausable, dialog: Dialog, *, default: str
) -> HttpResponse:
    """Ask for a reason, or do it and go back to `next` (or `default`)."""
    if not request.user.has_perm(dialog.permission):
        raise PermissionDenied
    kind = ReasonForm if dialog.pauses else OptionalReasonForm
    initial = {"request_id": new_request_id()}
    form = kind(request.POST if request.method == "POST" else None, initial=initial)
    back = address_to_return_to(request, default)
    if request.method == "POST" and form.is_valid():
        dialog.act(row, actor=actor_of(request), reason=form.cleaned_data["reason"])
        messages.success(request, dialog.done % {"name": row.name})
        return HttpResponseRedirect(back)
    return ask(request, _question(row, dialog, form, back), status=400 if form.errors else 200)


def _question(row: Pausable, dialog: Dialog, form: ReasonForm, back: str) -> Question:
    settled = (row.paused_at is not None) == dialog.pauses
    already = _("It is paused already.") if dialog.pauses else _("It is not paused.")
    title = _("Pause %(name)s") if dialog.pauses else _("Resume %(name)s")
    return Question(
        title=title % {"name": row.name},
        form=form,
        button=_("Pause") if dialog.pauses else _("Resume"),
        back=back,
        consequences=[dialog.consequence % {"name": row.name}],
        error=already if settled else "",
        refused=settled,
    )
