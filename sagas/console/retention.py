"""The pages of retention: the rules, the dialogs that change them, and the archive."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from outbox.pages import Question, ReasonForm, actor_of, ask, new_request_id, page, render_page
from outbox.paging import read_page
from sagas.console.lists import definition_names
from sagas.console.translating import translate_error
from sagas.exceptions import InvalidOrder
from sagas.models import ArchivedSaga, RetentionRule
from sagas.retention.rules import EVERY, MOST_DAYS, Rule, Rules, remove_rule, set_rule


class RuleForm(ReasonForm):
    """A rule, and why it is set."""

    definition = forms.ChoiceField(label=gettext_lazy("Definition"))
    status = forms.ChoiceField(label=gettext_lazy("Status"), choices=RetentionRule.Status.choices)
    keep_days = forms.IntegerField(
        label=gettext_lazy("Keep for days"),
        min_value=1,
        max_value=MOST_DAYS,
        help_text=gettext_lazy("Counted from the last change of a saga."),
    )
    action = forms.ChoiceField(
        label=gettext_lazy("Then"),
        choices=[
            ("archive", gettext_lazy("archive: it can still be found and read")),
            ("drop", gettext_lazy("drop: nothing is left of it but its idempotency key")),
        ],
    )
    field_order = ["definition", "status", "keep_days", "action", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(name, name) for name in definition_names()]
        choices = [(EVERY, _("every definition without a rule of its own")), *names]
        self.fields["definition"].choices = choices  # type: ignore[attr-defined]

    def rule(self) -> Rule:
        return Rule(**{name: self.cleaned_data[name] for name in Rule._fields if name != "id"})


@page("sagas.view_retentionrule")
def retention_page(request: HttpRequest) -> HttpResponse:
    context = {
        "title": _("Retention"),
        "rules": [
            (rule, RetentionRule.Status(rule.status).label, RetentionRule.Action(rule.action).label)
            for rule in Rules().shown()
        ],
    }
    return render_page(request, "console/retention.html", context)


@require_http_methods(["GET", "POST"])
@page("sagas.view_retentionrule")
def retention_set(request: HttpRequest) -> HttpResponse:
    _demand_change(request)
    form = RuleForm(request.POST if request.method == "POST" else None, initial=_initial(request))
    error = ""
    if request.method == "POST" and form.is_valid():
        try:
            set_rule(form.rule(), actor=actor_of(request), reason=form.cleaned_data["reason"])
        except InvalidOrder as refusal:
            error = translate_error(refusal)
        else:
            messages.success(request, _("The rule is set."))
            return HttpResponseRedirect(reverse("admin:retention"))
    question = Question(
        title=_("Set a rule"),
        form=form,
        button=_("Set the rule"),
        back=reverse("admin:retention"),
        consequences=[
            _("It counts for sagas that have ended already, too, from the next run on."),
            _("What moves or has failed is never removed."),
        ],
        error=error,
        is_dangerous=True,
    )
    return ask(request, question, status=400 if form.errors or error else 200)


@require_http_methods(["GET", "POST"])
@page("sagas.view_retentionrule")
def retention_remove(request: HttpRequest, rule_id: int) -> HttpResponse:
    _demand_change(request)
    rule = RetentionRule.objects.filter(pk=rule_id).first()
    if rule is None:
        raise Http404(_("There is no such rule."))
    initial = {"request_id": new_request_id()}
    form = ReasonForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        remove_rule(rule, actor=actor_of(request), reason=form.cleaned_data["reason"])
        messages.success(request, _("The rule is removed."))
        return HttpResponseRedirect(reverse("admin:retention"))
    question = Question(
        title=_("Remove the rule of %(name)s") % {"name": rule},
        form=form,
        button=_("Remove"),
        back=reverse("admin:retention"),
        consequences=[_("From the next run on the more general rule counts.")],
        is_dangerous=True,
    )
    return ask(request, question, status=400 if form.errors else 200)


@page("sagas.view_saga")
def archive_list(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "").strip().replace("\x00", "")
    shown = read_page(_search(words), request.GET)
    context = {"title": _("Archive"), "page": shown, "words": words}
    return render_page(request, "console/archive_list.html", context)


def _search(words: str) -> QuerySet[ArchivedSaga]:
    sagas = ArchivedSaga.objects.select_related("definition").defer(
        "document", "definition__spec", "definition__source"
    )
    try:
        return sagas.filter(pk=UUID(words))
    except ValueError:
        return sagas.filter(business_key__startswith=words) if words else sagas


def _initial(request: HttpRequest) -> dict[str, Any]:
    """Return what the dialog begins with: the rule that counts for what the address names."""
    definition = request.GET.get("definition", EVERY)
    status = request.GET.get("status", "")
    if status not in RetentionRule.Status.values:
        status = RetentionRule.Status.COMPLETED
    rule = Rules().find(definition, status)
    return {**rule._asdict(), "definition": definition, "request_id": new_request_id()}


def _demand_change(request: HttpRequest) -> None:
    if not request.user.has_perm("sagas.change_retentionrule"):
        raise PermissionDenied
