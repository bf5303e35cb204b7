"""What Django's admin needs to know of the engine; the operator's pages are in sagas.console."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db.models import JSONField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from outbox.admin import EditableAdmin, PlaceAdmin
from sagas.models import Definition, Participant, RetentionRule, Saga
from sagas.participants.limiting import LIMITS
from sagas.retention.archive import find_archived_by


class Indented(json.JSONEncoder):
    """JSON as people edit it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"indent": 2})


@admin.register(Saga)
class SagaAdmin(PlaceAdmin):
    list_place = "admin:saga_list"
    page_place = "admin:saga"

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Also those in the archive, whose page is the same."""
        return super().get_object(request, object_id, from_field) or find_archived_by(object_id)


@admin.register(Definition)
class DefinitionAdmin(PlaceAdmin):
    list_place = "admin:definition_list"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        definition = self.get_object(request, object_id)
        if definition is None:
            return HttpResponseRedirect(reverse(self.list_place))
        address = reverse("admin:definition", args=[definition.name, definition.version])
        return HttpResponseRedirect(address)


@admin.register(RetentionRule)
class RetentionRuleAdmin(PlaceAdmin):
    list_place = "admin:retention"

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse(self.list_place))


@admin.register(Participant)
class ParticipantAdmin(EditableAdmin):
    list_place = "admin:participant_list"
    page_place = "admin:participant"
    # Pausing is a verb with a reason, not an edit.
    fields = ["name", "transport", "address", "api", *LIMITS]
    formfield_overrides = {JSONField: {"encoder": Indented}}
