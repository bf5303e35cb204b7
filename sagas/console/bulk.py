"""A verb for many sagas at once: choose, look at what would happen, do it, see each outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from outbox.pages import (
    Question,
    ReasonForm,
    actor_of,
    ask,
    new_request_id,
    page,
    render_page,
)
from sagas import catalogue
from sagas.console.filters import Filters
from sagas.console.translating import translate_refusal, translate_result
from sagas.console.verbs import DANGEROUS, VERSIONS_OFFERED
from sagas.console.wording import CONSEQUENCE, OUTCOME, VERB
from sagas.core.state import from_json
from sagas.core.verbs import Verb, why_not
from sagas.models import Definition, Saga
from sagas.verbs import FOR_MANY, PERMISSIONS, Details, Order, perform_many

# More than this is worked off in several rounds, each of which somebody has looked at.
MOST_AT_ONCE = 500
ROWS_SHOWN = 20


class CountForm(ReasonForm):
    """How many, typed once more, because there is no way back."""

    count = forms.IntegerField(label=gettext_lazy("Type how many to confirm"))
    expected = 0

    def offer(self, count: int) -> None:
        self.expected = count

    def clean_count(self) -> int:
        typed: int = self.cleaned_data["count"]
        if typed != self.expected:
            raise ValidationError(_("There are %(n)s."), params={"n": self.expected})
        return typed


class VersionForm(ReasonForm):
    """Which version of their definition."""

    target = forms.TypedChoiceField(label=gettext_lazy("Version"), coerce=int)
    field_order = ["target", "reason"]

    def offer(self, versions: Sequence[int]) -> None:
        self.fields["target"].choices = [(n, f"v{n}") for n in versions]  # type: ignore[attr-defined]

    @property
    def offers_any(self) -> bool:
        return bool(self.fields["target"].choices)  # type: ignore[attr-defined]


class Chosen(NamedTuple):
    """What would become of one saga; `why_not` is empty when the verb is legal."""

    saga: Saga
    why_not: str


@require_POST
@page("sagas.view_saga")
def bulk_verb(request: HttpRequest, verb: str) -> HttpResponse:
    order = Verb(verb)
    if order not in FOR_MANY:
        raise Http404
    if not request.user.has_perm(PERMISSIONS[order]):
        raise PermissionDenied
    if "items" in request.POST:
        return _perform(request, order)
    back = f"{reverse('admin:saga_list')}?{request.POST.get('address', '')}"
    ids = _chosen_ids(request.POST)
    if not ids:
        return HttpResponseRedirect(back)
    return _ask(request, order, _preview(order, ids), back)


def _chosen_ids(posted: QueryDict) -> list[UUID]:
    """Return what was ticked, or what the list's filters match, newest first."""
    if posted.get("all"):
        filters = Filters.read(QueryDict(posted.get("address", "")).dict())
        matching = filters.apply(Saga.objects.all()).order_by("-pk")
        return list(matching.values_list("pk", flat=True)[:MOST_AT_ONCE])
    ids = []
    for value in posted.getlist("saga")[:MOST_AT_ONCE]:
        try:
            ids.append(UUID(value))
        except ValueError:
            continue
    return ids


def _preview(verb: Verb, ids: list[UUID]) -> list[Chosen]:
    sagas = Saga.objects.filter(pk__in=ids).order_by("-pk")
    definitions = catalogue.readable({saga.definition_id for saga in sagas})
    chosen = []
    for saga in sagas:
        if saga.definition_id not in definitions:
            chosen.append(Chosen(saga, _("A newer release wrote its definition.")))
            continue
        state = from_json(saga.state, version=saga.version)
        refusal = why_not(definitions[saga.definition_id], state, verb)
        chosen.append(Chosen(saga, translate_refusal(refusal)))
    return chosen


def _ask(
    request: HttpRequest,
    verb: Verb,
    chosen: list[Chosen],
    back: str,
    given: ReasonForm | None = None,
) -> HttpResponse:
    legal = [line.saga for line in chosen if not line.why_not]
    form = given or _form(verb, legal)
    form.fields["items"] = _items_field(legal)
    refused = _refusal(verb, legal, form)
    title = ngettext("%(verb)s %(n)d saga", "%(verb)s %(n)d sagas", len(legal))
    question = Question(
        title=title % {"verb": VERB[verb], "n": len(legal)},
        form=form,
        button=str(VERB[verb]),
        back=back,
        consequences=[str(CONSEQUENCE[verb])],
        is_dangerous=verb in DANGEROUS,
        error=refused,
        refused=bool(refused),
        details={
            "legal": legal[:ROWS_SHOWN],
            "more": max(0, len(legal) - ROWS_SHOWN),
            "left_out": Counter(line.why_not for line in chosen if line.why_not).most_common(),
            "action": request.path,
        },
    )
    return ask(request, question, template="console/bulk_question.html")


def _form(verb: Verb, sagas: list[Saga], data: QueryDict | None = None) -> ReasonForm:
    """Return the form of a verb for many; some need more than a reason."""
    initial = {"request_id": new_request_id()}
    if verb == Verb.ABANDON:
        count = CountForm(data, initial=initial)
        count.offer(len(sagas))
        return count
    if verb == Verb.MOVE:
        move = VersionForm(data, initial=initial)
        move.offer(_versions(sagas))
        return move
    return ReasonForm(data, initial=initial)


def _versions(sagas: list[Saga]) -> list[int]:
    """Return the versions that sagas of one definition can be moved to, newest first."""
    names = Definition.objects.filter(pk__in={saga.definition_id for saga in sagas})
    found = list(names.values_list("name", flat=True).distinct())
    if len(found) != 1:
        return []
    stored = Definition.objects.filter(name=found[0]).order_by("-version")
    return list(stored.values_list("version", flat=True)[:VERSIONS_OFFERED])


def _refusal(verb: Verb, legal: list[Saga], form: ReasonForm) -> str:
    if not legal:
        return _("None of the chosen sagas is in a state for this.")
    if isinstance(form, VersionForm) and not form.offers_any:
        return _("Choose sagas of one definition to move them.")
    return ""


def _perform(request: HttpRequest, verb: Verb) -> HttpResponse:
    back = f"{reverse('admin:saga_list')}?{request.POST.get('address', '')}"
    items = _read_items(request.POST["items"])
    ids = [saga_id for saga_id, _version in items]
    form = _form(verb, list(Saga.objects.filter(pk__in=ids).defer("state")), request.POST)
    if not form.is_valid():
        return _ask(request, verb, _preview(verb, ids), back, form)
    details = Details(version=form.cleaned_data.get("target"))
    order = Order(
        actor=actor_of(request),
        reason=form.cleaned_data["reason"],
        request_id=form.cleaned_data["request_id"],
    )
    results = [translate_result(result) for result in perform_many(verb, items, order, details)]
    sagas = Saga.objects.defer("state").in_bulk([result.saga_id for result in results])
    context = {
        "title": _("%(verb)s: outcome") % {"verb": VERB[verb]},
        "totals": [
            (outcome, OUTCOME[outcome], count)
            for outcome, count in Counter(result.outcome for result in results).items()
        ],
        "rows": [
            (result, OUTCOME[result.outcome], sagas.get(result.saga_id)) for result in results
        ],
        "back": reverse("admin:saga_list"),
    }
    return render_page(request, "console/bulk_outcome.html", context)


def _items_field(sagas: list[Saga]) -> forms.CharField:
    """Freeze what was looked at: the ids with the versions that were seen."""
    frozen = " ".join(f"{saga.pk}:{saga.version}" for saga in sagas)
    return forms.CharField(initial=frozen, widget=forms.HiddenInput)


def _read_items(text: str) -> list[tuple[UUID, int]]:
    items = []
    for item in text.split()[:MOST_AT_ONCE]:
        saga_id, _colon, version = item.partition(":")
        try:
            items.append((UUID(saga_id), int(version)))
        except ValueError:
            continue
    return items
