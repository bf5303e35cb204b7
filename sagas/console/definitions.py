"""The pages of definitions: what saga types there are, and how each version is built."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Func, IntegerField
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from outbox.pages import page, render_page
from outbox.paging import count_up_to
from outbox.templatetags.console import duration
from sagas.console.detail import core_of
from sagas.console.graphs import drawing, words
from sagas.console.wording import KIND
from sagas.core import definition as core
from sagas.core.definition import Kind, RetryPolicy, StepType
from sagas.definitions.graphs import label_of
from sagas.models import Definition, Saga

LIST_CAP = 500


@page("sagas.view_definition")
def definition_list(request: HttpRequest) -> HttpResponse:
    """Show every name with its newest version; older versions are on its page."""
    newest = (
        Definition.objects.order_by("name", "-version")
        .distinct("name")
        .annotate(
            step_count=Func(
                F("spec__steps"), function="jsonb_array_length", output_field=IntegerField()
            )
        )
        .annotate(description=F("spec__description"))
        .defer("spec", "source")
    )
    rows = list(newest[:LIST_CAP])
    return render_page(
        request, "console/definition_list.html", {"title": _("Definitions"), "rows": rows}
    )


@page("sagas.view_definition")
def definition_page(request: HttpRequest, name: str, version: int) -> HttpResponse:
    stored = Definition.objects.filter(name=name, version=version).first()
    if stored is None:
        raise Http404(_("There is no such definition."))
    definition = core_of(stored)
    versions = Definition.objects.filter(name=name).defer("spec", "source").order_by("-version")
    context = {
        "title": str(stored),
        "stored": stored,
        "definition": definition,
        "steps": [
            {
                "number": number,
                "step": step,
                "kind": KIND[step.kind],
                "is_pivot": step.kind == Kind.PIVOT,
                "is_call": step.type == StepType.ACTION,
                "label": label_of(step, words()),
                "after": _after(definition, step),
                "retry": _policy(step.retry),
                "undo_retry": _policy(step.undo_retry),
            }
            for number, step in enumerate(definition.steps, start=1)
        ],
        "drawing": drawing(definition),
        "versions": list(versions[:50]),
        "in_flight": _in_flight(stored),
    }
    return render_page(request, "console/definition.html", context)


def _after(definition: core.Definition, step: core.Step) -> str:
    """Say what a step waits for, where that is not the one above it."""
    if step.after is None:
        return ""
    names = [definition.steps[place].name for place in step.after]
    return _("after %s") % ", ".join(names) if names else _("from the start")


def _in_flight(stored: Definition) -> list[tuple[str, Any, Any]]:
    """Count what is unfinished on this version; the rest is one link away."""
    return [
        (status, status.label, count_up_to(stored.sagas.filter(status=status), cap=1000))
        for status in (Saga.Status.RUNNING, Saga.Status.COMPENSATING, Saga.Status.FAILED)
    ]


def _policy(policy: RetryPolicy) -> str:
    if policy.attempts <= 1:
        return _("1 attempt")
    return _("%(n)d attempts, %(first)s × %(factor)g, at most %(cap)s apart") % {
        "n": policy.attempts,
        "first": duration(policy.initial_s),
        "factor": policy.factor,
        "cap": duration(policy.cap_s),
    }
