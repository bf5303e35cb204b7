"""The list of sagas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, Func, JSONField, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from outbox.pages import page, render_page
from outbox.paging import CappedCount, count_up_to, read_page
from sagas.console.filters import AGES, Filters
from sagas.console.strips import draw_strip, find_setback, steps_without_outputs
from sagas.console.wording import VERB
from sagas.core.state import MOVING
from sagas.models import ArchivedSaga, Definition, Saga
from sagas.searching import write_terms
from sagas.verbs import FOR_MANY, PERMISSIONS

# Counted from the index over what is unfinished; the others would be long counts.
COUNTED = (Saga.Status.FAILED, Saga.Status.RUNNING, Saga.Status.COMPENSATING)
TAB_CAP = 1_000
DEFINITIONS_OFFERED = 200
ARCHIVED_SHOWN = 10


@dataclass(frozen=True)
class Tab:
    code: str
    label: str | Promise
    address: str
    is_current: bool
    count: CappedCount | None


class Chip(NamedTuple):
    """A filter that is on, and the address without it."""

    label: str | Promise
    value: str
    address: str


@page("sagas.view_saga")
def saga_list(request: HttpRequest) -> HttpResponse:
    filters = Filters.read(request.GET)
    saga_id = filters.saga_id()
    if saga_id and _is_there(saga_id):
        return redirect("admin:saga", saga_id)
    shown = read_page(filters.apply(for_list(Saga.objects.all())), request.GET)
    context = {
        "title": _("Sagas"),
        "filters": filters,
        "page": shown,
        "rows": add_strips(shown.rows),
        "tabs": _tabs(filters),
        "chips": _chips(filters),
        "ages": [(code, words) for code, (words, _age) in AGES.items()],
        "definitions": definition_names(),
        "verbs": [
            (verb, VERB[verb]) for verb in FOR_MANY if request.user.has_perm(PERMISSIONS[verb])
        ],
        "archived": _archived(filters),
        "is_filtered": bool(filters.set_fields()),
        "address": filters.address(),
    }
    return render_page(request, "console/saga_list.html", context)


def _is_there(saga_id: UUID) -> bool:
    return any(model.objects.filter(pk=saga_id).exists() for model in (Saga, ArchivedSaga))


def _archived(filters: Filters) -> list[ArchivedSaga]:
    """Return the newest archived sagas whose business key begins with what is searched for."""
    if not filters.q or filters.saga_id() or filters.terms:
        return []
    matching = ArchivedSaga.objects.filter(business_key__startswith=filters.q)
    newest = matching.select_related("definition").order_by("-pk").defer("document")
    return list(newest[:ARCHIVED_SHOWN])


def for_list(sagas: QuerySet[Saga]) -> QuerySet[Saga]:
    """Leave out the state with its outputs; of the steps only what strips show is read."""
    return sagas.annotate(steps=steps_without_outputs()).defer("state")


def add_strips(sagas: list[Saga]) -> list[Saga]:
    """Hang the definition, the strip and what holds it up on every saga of a page."""
    ids = {saga.definition_id for saga in sagas}
    names = Func(
        F("spec"),
        Value("$.steps[*].name"),
        function="jsonb_path_query_array",
        template="%(function)s(%(expressions)s::jsonpath)",
        output_field=JSONField(),
    )
    definitions = Definition.objects.annotate(step_names=names).defer("spec", "source")
    by_id: dict[int, Any] = definitions.in_bulk(ids)
    for saga in sagas:
        _hang_strip(saga, by_id[saga.definition_id])
    return sagas


def _hang_strip(saga: Any, definition: Any) -> None:
    saga.definition = definition
    saga.strip = draw_strip(definition.step_names, saga.steps)
    saga.setback = None
    if saga.status in MOVING:
        saga.setback = find_setback(definition.step_names, saga.steps)


def definition_names() -> list[str]:
    """Return the names that the list can be narrowed to."""
    names = Definition.objects.order_by("name").values_list("name", flat=True).distinct()
    return list(names[:DEFINITIONS_OFFERED])


def _tabs(filters: Filters) -> list[Tab]:
    tabs = [Tab("", _("All"), filters.address(status=""), not filters.status, None)]
    for status in (*COUNTED, *(s for s in Saga.Status if s not in COUNTED)):
        count = None
        if status in COUNTED:
            count = count_up_to(Saga.objects.filter(status=status), TAB_CAP)
        address = filters.address(status=status)
        tabs.append(Tab(status, status.label, address, filters.status == status, count))
    return tabs


def _chips(filters: Filters) -> list[Chip]:
    labels = {
        "step": _("Step"),
        "fingerprint": _("Error group"),
        "tenant": _("Tenant"),
        "version": _("Version"),
        "paused": _("Paused"),
        "retrying": _("Retrying"),
        "waiting": _("Waiting for a decision"),
    }
    terms = [
        Chip(name, value, filters.address(q=write_terms(filters.terms, without=name)))
        for name, value in filters.terms.items()
    ]
    return terms + [
        Chip(
            labels[name],
            "" if name in ("paused", "retrying", "waiting") else value,
            filters.address(**{name: ""}),
        )
        for name, value in filters.set_fields().items()
        if name in labels
    ]
