"""What every page of the console is made with: who may see it, its frame, and its questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import uuid4

from django import forms
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

Arguments = ParamSpec("Arguments")
View = Callable[Concatenate[HttpRequest, Arguments], HttpResponse]


class Unavailable(Exception):
    """A page cannot be shown here and now, for a reason that its reader is told."""

    def __init__(self, title: str, text: str) -> None:
        super().__init__(title)
        self.title = title
        self.text = text


def page(permission: str) -> Callable[[View[Arguments]], View[Arguments]]:
    """Make a view a page of the console: staff only, and 403 without the permission."""

    def decorate(view: View[Arguments]) -> View[Arguments]:
        @wraps(view)
        def checked(
            request: HttpRequest, *args: Arguments.args, **kwargs: Arguments.kwargs
        ) -> HttpResponse:
            if not request.user.has_perm(permission):
                raise PermissionDenied
            try:
                return view(request, *args, **kwargs)
            except Unavailable as reason:
                context = {"code": 503, "title": reason.title, "text": reason.text}
                return render_page(request, "console/refusal.html", context, status=503)

        return admin.site.admin_view(checked)  # type: ignore[return-value]

    return decorate


def render_page(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> TemplateResponse:
    """Answer with a page inside the console's frame."""
    request.current_app = admin.site.name
    everything = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, template, everything, status=status)


def actor_of(request: HttpRequest) -> AbstractBaseUser:
    """Return who is signed in; a page of the console is never shown to anybody else."""
    if not isinstance(request.user, AbstractBaseUser):
        raise PermissionDenied
    return request.user


def address_to_return_to(request: HttpRequest, default: str) -> str:
    """Return the `next` of the request when it is on this site, otherwise the default."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else default


class ReasonForm(forms.Form):
    """Why an operator does it; kept in the audit log."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2, "autofocus": True}),
        help_text=_("Kept in the history and the audit log."),
    )
    request_id = forms.CharField(max_length=100, widget=forms.HiddenInput)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)


class OptionalReasonForm(ReasonForm):
    reason = forms.CharField(
        label=_("Reason (optional)"),
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "autofocus": True}),
        help_text=_("Kept in the history and the audit log."),
    )


@dataclass
class Question:
    """What a dialog asks before something is done, and what it says will happen."""

    title: str
    form: forms.Form
    button: str
    back: str
    # Sentences that say what will happen.
    consequences: Sequence[str] = ()
    # Calls in the order in which they will be made (sagas.core.planning.PlanLine).
    plan: Sequence[Any] = ()
    is_dangerous: bool = False
    # Why it cannot be done, or was not; the button is left out when `refused`.
    error: str = ""
    refused: bool = False
    details: dict[str, Any] = field(default_factory=dict)


def ask(
    request: HttpRequest,
    question: Question,
    *,
    status: int = 200,
    template: str = "console/question.html",
) -> TemplateResponse:
    """Answer with a dialog; without JavaScript it is a page of its own."""
    context = {"title": question.title, "question": question, "next": question.back}
    return render_page(request, template, context, status=status)


def new_request_id() -> str:
    """Return an id for one press of a button, so that a repeated one does nothing twice."""
    return str(uuid4())
