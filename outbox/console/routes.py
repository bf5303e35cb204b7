"""The pages of routes, and the dialogs that pause and resume one."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from outbox.console.dialogs import Dialog, ask_and_do
from outbox.console.pausing import pausing, resuming
from outbox.gauges import BlockedKey, RouteGauge, blocked_keys, owned_lanes, route_gauges
from outbox.models import LANES, Receipt, Route
from outbox.pages import page, render_page
from outbox.routes import pause_route, resume_route

KEYS_SHOWN = 50


class RouteLine(NamedTuple):
    route: Route
    gauge: RouteGauge


def route_lines() -> list[RouteLine]:
    """Return every route with how it is doing."""
    gauges = {gauge.route_id: gauge for gauge in route_gauges()}
    routes = Route.objects.order_by("name")
    return [RouteLine(route, gauges[route.pk]) for route in routes if route.pk in gauges]


def stuck_keys(older_than_s: float, limit: int) -> list[BlockedKey]:
    """Return the keys that have not moved for so long, the oldest first."""
    return [key for key in blocked_keys(limit=limit) if key.age_s >= older_than_s]


@page("outbox.view_message")
def outbox_page(request: HttpRequest) -> HttpResponse:
    context = {
        "title": _("Outbox"),
        "routes": route_lines(),
        "stuck_keys": blocked_keys(limit=KEYS_SHOWN),
        "lanes": owned_lanes(),
        "lane_count": LANES,
    }
    return render_page(request, "console/outbox.html", context)


@page("outbox.view_message")
def route_page(request: HttpRequest, name: str) -> HttpResponse:
    route = _read_route(name)
    line = next((line for line in route_lines() if line.route == route), None)
    receipts = Receipt.objects.filter(
        route=route, published_at__gte=timezone.now() - timedelta(hours=1)
    )
    context = {
        "title": route.name,
        "route": route,
        "line": line,
        "stuck_keys": blocked_keys(route_id=route.pk, limit=KEYS_SHOWN),
        "receipts": receipts.order_by("-published_at").defer("message_ids")[:20],
    }
    return render_page(request, "console/route.html", context)


@require_http_methods(["GET", "POST"])
@page("outbox.view_message")
def route_pause(request: HttpRequest, name: str) -> HttpResponse:
    return _ask_and_do(request, name, PAUSE)


@require_http_methods(["GET", "POST"])
@page("outbox.view_message")
def route_resume(request: HttpRequest, name: str) -> HttpResponse:
    return _ask_and_do(request, name, RESUME)


PAUSE = pausing(
    "outbox.pause_route",
    pause_route,
    consequence=gettext_lazy(
        "Nothing more is published to %(name)s; its messages are kept in order."
    ),
    done=gettext_lazy("%(name)s is paused."),
)
RESUME = resuming(
    "outbox.pause_route",
    resume_route,
    consequence=gettext_lazy("What has been kept for %(name)s is published, oldest first."),
    done=gettext_lazy("%(name)s goes on."),
)


def _ask_and_do(request: HttpRequest, name: str, dialog: Dialog) -> HttpResponse:
    route = _read_route(name)
    return ask_and_do(request, route, dialog, default=reverse("admin:route", args=[name]))


def _read_route(name: str) -> Route:
    route = Route.objects.filter(name=name).first()
    if route is None:
        raise Http404(_("There is no such route."))
    return route
