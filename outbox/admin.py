"""What Django's admin needs to know of the outbox; the operator's pages are in outbox.console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from outbox.models import Message, Route

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = admin.ModelAdmin  # takes no type argument when it runs


class ListedAdmin(AnyModelAdmin):
    """Rows that the console lists on a page of its own."""

    list_place: str
    page_place: str

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse(self.list_place))


class PlaceAdmin(ListedAdmin):
    """Rows that the console shows on pages of its own and that nobody edits.

    Registered so that the admin's addresses of them (in its log, for example) lead to those pages.
    """

    # The field that the page's address is made with.
    page_key = "pk"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        return HttpResponseRedirect(reverse(self.page_place, args=[getattr(row, self.page_key)]))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class EditableAdmin(ListedAdmin):
    """Rows with a page of the console's own whose settings are edited with Django's form.

    The form is at the usual address with `?edit=1`; without it, the console's page answers.
    """

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is not None and request.method == "GET" and "edit" not in request.GET:
            return HttpResponseRedirect(reverse(self.page_place, args=[row.name]))
        return super().change_view(request, object_id, form_url, extra_context)


@admin.register(Message)
class MessageAdmin(PlaceAdmin):
    list_place = "admin:message_list"
    page_place = "admin:message"


@admin.register(Route)
class RouteAdmin(EditableAdmin):
    list_place = "admin:outbox"
    page_place = "admin:route"
    # Pausing is a verb with a reason, not an edit.
    fields = ["name", "transport", "target", "types", "on_dead", "max_attempts"]
