"""The console: Django's admin site with our places, pages and words."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver
from django.utils.translation import gettext_lazy as _


class ConsoleSite(admin.AdminSite):
    site_header = site_title = "Sagadesk"
    index_title = _("Overview")
    site_url = None
    enable_nav_sidebar = False

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Put the operator's places before Django's own pages."""
        from config.console.urls import urlpatterns as own
        from dlq.console.urls import urlpatterns as letters
        from outbox.console.urls import urlpatterns as messages
        from sagas.console.urls import urlpatterns as sagas

        return [*own, *sagas, *letters, *messages, *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from config.console.sidebar import administration, places, theme_of

        context = super().each_context(request)
        context["theme"] = theme_of(request)
        if context["has_permission"]:
            context["places"] = places(request)
            context["administration"] = administration(request)
        return context

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        from config.console.overview import overview

        return overview(request)
