"""The pages of what is on its way, and of the message log."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext as _

from outbox.models import Delivery, Message, Receipt, Route
from outbox.pages import page, render_page
from outbox.paging import read_page

FILTERS = ("route", "status", "key")


@page("outbox.view_message")
def delivery_list(request: HttpRequest) -> HttpResponse:
    """List what has not been published yet, newest first."""
    chosen = {name: _clean(request.GET, name) for name in FILTERS}
    deliveries = Delivery.objects.select_related("message", "route").defer(
        "message__payload", "message__headers"
    )
    if chosen["route"]:
        deliveries = deliveries.filter(route__name=chosen["route"])
    if chosen["status"] in Delivery.Status.values:
        deliveries = deliveries.filter(status=chosen["status"])
    if chosen["key"]:
        deliveries = deliveries.filter(key=chosen["key"])
    shown = read_page(deliveries, request.GET)
    context = {
        "title": _("On their way"),
        "page": shown,
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
        "routes": Route.objects.values_list("name", flat=True),
        "statuses": Delivery.Status.choices,
    }
    return render_page(request, "console/delivery_list.html", context)


@page("outbox.view_message")
def message_list(request: HttpRequest) -> HttpResponse:
    """List the message log, newest first."""
    chosen = {name: _clean(request.GET, name) for name in ("saga", "id")}
    found = Message.objects.defer("payload", "headers")
    for name, column in (("saga", "saga_id"), ("id", "pk")):
        if chosen[name]:
            wanted = _read_uuid(chosen[name])
            found = found.filter(**{column: wanted}) if wanted else found.none()
    shown = read_page(found, request.GET)
    context = {
        "title": _("Messages"),
        "page": shown,
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
    }
    return render_page(request, "console/message_list.html", context)


@page("outbox.view_message")
def message_page(request: HttpRequest, message_id: UUID) -> HttpResponse:
    message = Message.objects.filter(pk=message_id).first()
    if message is None:
        raise Http404(_("There is no such message."))
    context = {
        "title": message.type,
        "message": message,
        "deliveries": message.deliveries.select_related("route"),
        "receipts": _receipts_of(message),
    }
    return render_page(request, "console/message.html", context)


def _receipts_of(message: Message) -> list[Receipt]:
    """Return the batches in which the message was published; they came after its creation."""
    receipts = Receipt.objects.filter(
        published_at__gte=message.created_at, message_ids__contains=[str(message.pk)]
    )
    return list(receipts.select_related("route").order_by("published_at").defer("message_ids")[:10])


def _clean(params: QueryDict, name: str) -> str:
    return params.get(name, "").strip().replace("\x00", "")


def _read_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
