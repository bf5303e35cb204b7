"""What lists can be narrowed by: the kinds of filters, strict ones, and those of the outbox."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.db.models import QuerySet
from django_filters import filters  # type: ignore[import-untyped]
from django_filters.rest_framework import (  # type: ignore[import-untyped]
    DjangoFilterBackend,
    FilterSet,
)
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request
from rest_framework.views import APIView

from outbox.api.paging import check_parameters
from outbox.models import Delivery, Message
from outbox.paging import first_id_at

LARGEST_NUMBER = 2_147_483_647
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)

ChoiceFilter = filters.ChoiceFilter
IdFilter = filters.UUIDFilter


@extend_schema_field({"type": "string", "minLength": 1})
class TextFilter(filters.CharFilter):  # type: ignore[misc]
    """An exact text, unless a lookup says otherwise."""


class Filters(FilterSet):  # type: ignore[misc]
    """What one list can be narrowed by."""

    def known(self) -> set[str]:
        """Return the parameters that narrow the list."""
        return set(self.filters)


class StrictFilters(DjangoFilterBackend):  # type: ignore[misc]
    """Refuses filters that a list does not have: a misspelt one must not show everything."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        filterset = self.get_filterset(request, queryset, view)
        check_parameters(request, {*(filterset.known() if filterset else ()), "cursor", "limit"})
        narrowed: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return narrowed


@extend_schema_field({"type": "boolean"})
class YesNoFilter(filters.TypedChoiceFilter):  # type: ignore[misc]
    """true or false; django-filter's own takes any other word for "no filter"."""

    def __init__(self, **kwargs: Any) -> None:
        choices = [("true", "true"), ("false", "false")]
        super().__init__(choices=choices, coerce=lambda value: value == "true", **kwargs)


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": LARGEST_NUMBER})
class WholeNumberFilter(filters.Filter):  # type: ignore[misc]
    field_class = forms.IntegerField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=LARGEST_NUMBER, **kwargs)


class ByAge(Filters):
    """From when on and until when rows were created, answered by their UUIDv7 keys alone."""

    created_after = filters.IsoDateTimeFilter(method="since", help_text="Created then or later.")
    created_before = filters.IsoDateTimeFilter(method="until", help_text="Created before.")

    def since(self, rows: QuerySet[Any], name: str, when: datetime) -> QuerySet[Any]:
        return rows.filter(pk__gte=first_id_at(max(when, _EARLIEST)))

    def until(self, rows: QuerySet[Any], name: str, when: datetime) -> QuerySet[Any]:
        return rows.filter(pk__lt=first_id_at(max(when, _EARLIEST)))


class MessageFilters(ByAge):
    saga_id = IdFilter(help_text="Messages that this saga published.")
    type = TextFilter()

    class Meta:
        model = Message
        fields: list[str] = []


class DeliveryFilters(Filters):
    route = TextFilter(field_name="route__name", help_text="The route's name.")
    key = TextFilter()
    status = ChoiceFilter(choices=Delivery.Status.choices)
    message = IdFilter(field_name="message_id", help_text="The message's id.")

    class Meta:
        model = Delivery
        fields: list[str] = []
