"""The lists of dead letters: by cause, and one by one; and the page of one letter."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from dlq import gauges
from dlq.models import DeadLetter
from outbox.models import Route
from outbox.pages import page, render_page
from outbox.paging import count_up_to, read_page

FILTERS = ("status", "source", "reason", "destination", "fingerprint", "key")
ATTEMPTS_SHOWN = 200


@page("dlq.view_deadletter")
def letter_groups(request: HttpRequest) -> HttpResponse:
    context = {"title": _("Dead letters"), "found": gauges.letter_groups()}
    return render_page(request, "console/letter_groups.html", context)


@page("dlq.view_deadletter")
def letter_list(request: HttpRequest) -> HttpResponse:
    chosen = read_filters(request.GET)
    letters = filter_letters(chosen).defer("payload", "headers")
    shown = read_page(letters, request.GET)
    context = {
        "title": _("Dead letters"),
        "page": shown,
        "chosen": chosen,
        "address": urlencode({name: value for name, value in chosen.items() if value}),
        "is_filtered": any(chosen.values()),
        "tabs": [
            (status, status.label, _address(chosen, status), chosen["status"] == status)
            for status in DeadLetter.Status
        ],
        "open_count": count_up_to(DeadLetter.objects.filter(status=DeadLetter.Status.OPEN)),
        "sources": DeadLetter.Source.choices,
        "reasons": DeadLetter.Reason.choices,
        "routes": Route.objects.values_list("name", flat=True),
    }
    return render_page(request, "console/letter_list.html", context)


@page("dlq.view_deadletter")
def letter_page(request: HttpRequest, letter_id: UUID) -> HttpResponse:
    letter = read_letter(letter_id)
    context = {
        "title": str(letter),
        "letter": letter,
        "attempts": letter.attempt_set.order_by("-number")[:ATTEMPTS_SHOWN],
        "is_open": letter.status == DeadLetter.Status.OPEN,
        "is_message": letter.source == DeadLetter.Source.OUTBOX,
    }
    return render_page(request, "console/letter.html", context)


def read_letter(letter_id: UUID) -> DeadLetter:
    letter = DeadLetter.objects.filter(pk=letter_id).first()
    if letter is None:
        raise Http404(_("There is no such dead letter."))
    return letter


def read_filters(params: QueryDict) -> dict[str, str]:
    """Read the filters from an address; values that mean nothing are dropped."""
    chosen = {name: params.get(name, "").strip().replace("\x00", "") for name in FILTERS}
    allowed: dict[str, Any] = {
        "status": DeadLetter.Status.values,
        "source": DeadLetter.Source.values,
        "reason": DeadLetter.Reason.values,
    }
    for name, values in allowed.items():
        if chosen[name] not in values:
            chosen[name] = ""
    return chosen


def filter_letters(chosen: dict[str, str]) -> Any:
    """Return the letters that the filters leave."""
    return DeadLetter.objects.filter(**{name: value for name, value in chosen.items() if value})


def _address(chosen: dict[str, str], status: str) -> str:
    kept = {name: value for name, value in chosen.items() if value} | {"status": status}
    return urlencode(kept)
