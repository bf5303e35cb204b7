"""The dialogs that limit a participant and close its breaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from outbox.console.dialogs import Dialog
from outbox.pages import (
    Question,
    ReasonForm,
    actor_of,
    address_to_return_to,
    ask,
    new_request_id,
    page,
)
from sagas.console.participants import ask_about, read_participant
from sagas.models import Participant
from sagas.participants.limiting import LIMITS, close_breaker, limit_participant

LIMIT = "sagas.limit_participant"

if TYPE_CHECKING:
    ParticipantForm = forms.ModelForm[Participant]
else:
    ParticipantForm = forms.ModelForm  # takes no type argument when it runs


class LimitsForm(ReasonForm, ParticipantForm):
    field_order = [*LIMITS, "reason"]

    class Meta:
        model = Participant
        fields = LIMITS


@require_http_methods(["GET", "POST"])
@page("sagas.view_participant")
def participant_limits(request: HttpRequest, name: str) -> HttpResponse:
    if not request.user.has_perm(LIMIT):
        raise PermissionDenied
    participant = read_participant(name)
    given = request.POST if request.method == "POST" else None
    form = LimitsForm(given, instance=participant, initial={"request_id": new_request_id()})
    back = address_to_return_to(request, reverse("admin:participant", args=[name]))
    if request.method == "POST" and form.is_valid():
        limits = {field: form.cleaned_data[field] for field in LIMITS}
        reason = form.cleaned_data["reason"]
        try:
            limit_participant(participant, limits, actor=actor_of(request), reason=reason)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, _("The limits of %(name)s are changed.") % {"name": name})
            return HttpResponseRedirect(back)
    question = Question(
        title=_("Limit %(name)s") % {"name": name},
        form=form,
        button=_("Change"),
        back=back,
        consequences=[
            _(
                "Workers go by it within a second. What is beyond a limit, or comes to an open "
                "breaker, waits without spending attempts."
            )
        ],
        error=" ".join(map(str, form.non_field_errors())),
    )
    return ask(request, question, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@page("sagas.view_participant")
def participant_close_breaker(request: HttpRequest, name: str) -> HttpResponse:
    return ask_about(request, name, CLOSE_BREAKER)


CLOSE_BREAKER = Dialog(
    permission=LIMIT,
    act=close_breaker,
    title=gettext_lazy("Close the breaker of %(name)s"),
    button=gettext_lazy("Close the breaker"),
    consequence=gettext_lazy(
        "Calls go to %(name)s again; sagas that wait for it go on within half a minute. "
        "The breaker opens anew when calls go on failing."
    ),
    done=gettext_lazy("The breaker of %(name)s is closed."),
)
