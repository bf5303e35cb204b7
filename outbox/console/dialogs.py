"""A dialog that asks for a reason before something is done with a named row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import Promise

from outbox.pages import (
    Question,
    ReasonForm,
    actor_of,
    address_to_return_to,
    ask,
    new_request_id,
)


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Dialog(NamedTuple):
    """What is done with a kind of row, and the words for it, but `button` with a %(name)s."""

    permission: str
    act: Callable[..., object]
    title: str | Promise
    button: str | Promise
    consequence: str | Promise
    done: str | Promise
    form: type[ReasonForm] = ReasonForm
    # Say why it cannot be done with this row now, or "".
    refuse: Callable[[Any], str] = lambda row: ""


def ask_and_do(request: HttpRequest, row: Named, dialog: Dialog, *, default: str) -> HttpResponse:
    """Ask for a reason, or do it and go back to `next` (or `default`)."""
    if not request.user.has_perm(dialog.permission):
        raise PermissionDenied
    initial = {"request_id": new_request_id()}
    form = dialog.form(request.POST if request.method == "POST" else None, initial=initial)
    back = address_to_return_to(request, default)
    name = {"name": row.name}
    if request.method == "POST" and form.is_valid():
        dialog.act(row, actor=actor_of(request), reason=form.cleaned_data["reason"])
        messages.success(request, dialog.done % name)
        return HttpResponseRedirect(back)
    refusal = dialog.refuse(row)
    question = Question(
        title=dialog.title % name,
        form=form,
        button=str(dialog.button),
        back=back,
        consequences=[dialog.consequence % name],
        error=refusal,
        refused=bool(refusal),
    )
    return ask(request, question, status=400 if form.errors else 200)
