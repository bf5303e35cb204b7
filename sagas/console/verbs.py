"""The dialogs that give one saga a verb: GET says what will happen, POST does it.

Where that depends on what is chosen in the dialog, "Show what will happen" asks again, and nothing
is carried out whose consequences were not on the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from outbox.pages import Question, actor_of, address_to_return_to, ask, new_request_id, page
from sagas import catalogue
from sagas.console.detail import read_saga
from sagas.console.translating import translate_error, translate_plan, translate_refusal
from sagas.console.verb_forms import Asked, VerbForm, make_form
from sagas.console.wording import CONSEQUENCE, DONE, VERB
from sagas.core.verbs import Verb, steps_to_retry, why_not, why_not_move
from sagas.exceptions import IllegalVerb, InvalidOrder, VersionConflict
from sagas.models import Definition
from sagas.verbs import PERMISSIONS, Order, perform, preview, was_given

DANGEROUS = (Verb.COMPENSATE, Verb.CANCEL, Verb.REWIND, Verb.ABANDON, Verb.REJECT)
VERSIONS_OFFERED = 20
REFUSALS = (VersionConflict, IllegalVerb, InvalidOrder)


@dataclass
class Versions:
    """The other versions of a saga's definition: those it can move to, and why not the others."""

    fit: list[int] = field(default_factory=list)
    unfit: list[tuple[int, str]] = field(default_factory=list)


@require_http_methods(["GET", "POST"])
@page("sagas.view_saga")
def saga_verb(request: HttpRequest, saga_id: UUID, verb: str) -> HttpResponse:
    order = Verb(verb)
    if not request.user.has_perm(PERMISSIONS[order]):
        raise PermissionDenied
    asked = Asked(*read_saga(saga_id), request.user)
    back = address_to_return_to(request, reverse("admin:saga", args=[saga_id]))
    if request.method == "POST" and was_given(order, saga_id, request.POST.get("request_id", "")):
        return _done(request, order, asked, back)
    versions = _versions(asked) if order == Verb.MOVE else Versions()
    form = _form(request, order, asked, versions)
    error, status = "", 200
    if form.is_bound and _refusal(order, asked, versions):
        status = 409
    elif form.is_bound and not form.is_valid():
        status = 400
    elif form.is_bound:
        if _is_confirmed(request, form):
            try:
                _give(request, asked, order, form)
            except REFUSALS as refusal:
                # What the operator confirmed is not what would happen now: ask anew.
                error, status = translate_error(refusal), 409
                asked = Asked(*read_saga(saga_id), request.user)
            else:
                return _done(request, order, asked, back)
        form = _form_again(form, order, asked, versions)
    question = _question(order, asked, form, versions)
    question.back = back
    question.error = error or question.error
    return ask(request, question, status=status)


def _done(request: HttpRequest, verb: Verb, asked: Asked, back: str) -> HttpResponse:
    messages.success(request, DONE[verb] % {"key": asked.saga.business_key})
    return HttpResponseRedirect(back)


def _form(request: HttpRequest, verb: Verb, asked: Asked, versions: Versions) -> VerbForm:
    initial = _fresh(asked)
    if "step" in request.GET:
        initial["step"] = request.GET["step"]
    data = request.POST if request.method == "POST" else None
    return make_form(verb, asked, data, initial, versions.fit)


def _form_again(form: VerbForm, verb: Verb, asked: Asked, versions: Versions) -> VerbForm:
    """Return the form with what was given, for the saga as it is now."""
    return make_form(verb, asked, None, form.cleaned_data | _fresh(asked), versions.fit)


def _fresh(asked: Asked) -> dict[str, Any]:
    return {"request_id": new_request_id(), "version": asked.state.version}


def _is_confirmed(request: HttpRequest, form: VerbForm) -> bool:
    """Say whether this is the order itself, for what the dialog has shown the consequences of."""
    return "preview" not in request.POST and form.cleaned_data["seen"] == form.choice()


def _give(request: HttpRequest, asked: Asked, verb: Verb, form: VerbForm) -> None:
    given = form.cleaned_data
    order = Order(
        actor=actor_of(request),
        reason=given["reason"],
        request_id=given["request_id"],
        version=asked.saga.version if given["version"] is None else given["version"],
    )
    perform(verb, asked.saga.pk, order, form.details())


def _refusal(verb: Verb, asked: Asked, versions: Versions) -> str:
    refusal = translate_refusal(why_not(asked.definition, asked.state, verb))
    if verb == Verb.MOVE and not refusal and not versions.fit:
        return _("There is no other version that it could go on under.")
    return refusal


def _question(verb: Verb, asked: Asked, form: VerbForm, versions: Versions) -> Question:
    refusal = _refusal(verb, asked, versions)
    question = Question(
        title=f"{VERB[verb]}: {asked.saga.business_key}",
        form=form,
        button=str(VERB[verb]),
        back="",
        is_dangerous=verb in DANGEROUS,
        error=refusal,
        refused=bool(refusal),
        details={"version": asked.state.version, "unfit": versions.unfit},
    )
    if not refusal:
        question.consequences = _sentences(verb, asked)
        question.details["offers_choice"] = form.offers_choice
        if form.is_choice_readable:
            _show_consequences(question, verb, asked, form)
    return question


def _show_consequences(question: Question, verb: Verb, asked: Asked, form: VerbForm) -> None:
    try:
        shown = preview(verb, asked.saga, form.details(), actor=asked.user)
    except (IllegalVerb, InvalidOrder) as refusal:
        question.error = translate_error(refusal)
        return
    question.plan = translate_plan(shown.calls)
    question.details["changes"] = shown.changes
    question.details["standing"] = shown.standing if verb == Verb.ABANDON else []
    form.initial["seen"] = form.choice()


def _sentences(verb: Verb, asked: Asked) -> list[str]:
    sentences = [str(CONSEQUENCE[verb])]
    if verb == Verb.RETRY:
        for index in steps_to_retry(asked.state):
            step = asked.definition.steps[index]
            policy = step.undo_retry if asked.state.backward else step.retry
            words = ngettext(
                "“%(step)s” may be tried %(n)d time.",
                "“%(step)s” may be tried %(n)d times.",
                policy.attempts,
            )
            sentences.append(words % {"step": step.name, "n": policy.attempts})
    return sentences


def _versions(asked: Asked) -> Versions:
    stored = Definition.objects.filter(name=asked.definition.name).order_by("-version")
    others = stored.exclude(version=asked.definition.version).values_list("pk", flat=True)
    ids = list(others[:VERSIONS_OFFERED])
    known = catalogue.readable(set(ids))
    versions = Versions()
    for target in (known[pk] for pk in ids if pk in known):
        refusal = why_not_move(asked.definition, asked.state, target)
        if refusal is None:
            versions.fit.append(target.version)
        else:
            versions.unfit.append((target.version, translate_refusal(refusal)))
    return versions
