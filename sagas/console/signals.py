"""The dialog that sends a signal to a saga."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from outbox.pages import Question, actor_of, address_to_return_to, ask, new_request_id, page
from sagas.console.detail import read_saga
from sagas.console.surroundings import signals_of
from sagas.console.translating import translate_error
from sagas.console.verb_fields import PrettyJsonField
from sagas.exceptions import SignalRefused
from sagas.signals import send_signal


class SignalForm(forms.Form):
    """Which signal, and what the step that takes it returns."""

    name = forms.ChoiceField(label=gettext_lazy("Signal"))
    payload = PrettyJsonField(
        label=gettext_lazy("Data (optional)"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "class": "code", "spellcheck": "false"}),
        help_text=gettext_lazy("JSON that the step which takes the signal returns."),
    )
    message_id = forms.CharField(
        label=gettext_lazy("Message id"),
        max_length=200,
        help_text=gettext_lazy(
            "The same one counts once. Use the sender’s own, if its signal was lost and may still "
            "come."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


@require_http_methods(["GET", "POST"])
@page("sagas.view_saga")
def saga_signal(request: HttpRequest, saga_id: UUID) -> HttpResponse:
    if not request.user.has_perm("sagas.signal_saga"):
        raise PermissionDenied
    saga, definition, state = read_saga(saga_id)
    back = address_to_return_to(request, reverse("admin:saga", args=[saga_id]))
    names = signals_of(definition, state)
    initial = {"message_id": new_request_id(), "name": request.GET.get("name", "")}
    form = SignalForm(request.POST if request.method == "POST" else None, initial=initial)
    form.fields["name"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
    refused = "" if names else _("It has ended, has stopped, or waits for no signals.")
    error, status = refused, 409 if refused and form.is_bound else 200
    if not refused and form.is_bound and form.is_valid():
        try:
            _send(request, saga_id, form)
        except SignalRefused as refusal:
            error, status = translate_error(refusal), 409
        else:
            messages.success(request, _("%(key)s has got the signal.") % {"key": saga.business_key})
            return HttpResponseRedirect(back)
    elif form.errors and not refused:
        status = 400
    question = Question(
        title=_("Send a signal: %(key)s") % {"key": saga.business_key},
        form=form,
        button=_("Send"),
        back=back,
        consequences=[
            _("A step that waits for it goes on; before that, it is kept until a step does.")
        ],
        error=error,
        refused=bool(refused),
    )
    return ask(request, question, status=status)


def _send(request: HttpRequest, saga_id: UUID, form: SignalForm) -> None:
    given = form.cleaned_data
    send_signal(
        saga_id,
        given["name"],
        given["payload"],
        message_id=given["message_id"],
        actor=actor_of(request),
    )
