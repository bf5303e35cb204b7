"""What surrounds every page: the theme, and what is shown when a page is refused or missing."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from config.console.sidebar import THEMES
from outbox.pages import address_to_return_to

A_YEAR_S = 365 * 24 * 3600


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keep light, dark or automatic in a cookie; the page is drawn with it from the start."""
    response = HttpResponseRedirect(address_to_return_to(request, "/"))
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        response.set_cookie("theme", theme, max_age=A_YEAR_S, samesite="Lax")
    return response


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _refusal(
        request,
        403,
        _("You may not do this"),
        _("Your role does not include it. Ask an administrator for the permission."),
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _refusal(
        request,
        404,
        _("There is nothing here"),
        _("The address is wrong, or what it showed is gone."),
    )


def _refusal(request: HttpRequest, status: int, title: str, text: str) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": title, "text": text, "code": status}
    return render(request, "console/refusal.html", context, status=status)
