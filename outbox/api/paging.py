"""Lists of the API: paged by key, without a count, and strict about what narrows them."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as InvalidKey
from django.db.models import Model
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

PAGE_SIZE = 50
LARGEST_PAGE = 200


class KeysetPages(CursorPagination):
    """Newest first, by primary key; `next` and `previous` are addresses to follow."""

    ordering = "-id"
    page_size = PAGE_SIZE
    page_size_query_param = "limit"
    page_size_query_description = f"Rows per page, 1 to {LARGEST_PAGE}."
    max_page_size = LARGEST_PAGE

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        self.model: type[Model] = queryset.model
        return super().paginate_queryset(queryset, request, view)

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("limit", str(PAGE_SIZE))
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= LARGEST_PAGE):
            raise ValidationError({"limit": [f"Write a number from 1 to {LARGEST_PAGE}."]})
        return int(text)

    def decode_cursor(self, request: Request) -> Any:
        """Return the cursor. A position that is no key would end in the database otherwise."""
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            field = self.model._meta.get_field(self.ordering[0].lstrip("-"))
            try:
                field.run_validators(field.to_python(cursor.position))  # type: ignore[union-attr]
            except InvalidKey:
                raise ValidationError({"cursor": ["It is none of this list's cursors."]}) from None
        return cursor

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        cursor, limit = super().get_schema_operation_parameters(view)
        cursor["description"] = "Where the page begins; copied from next or previous."
        cursor["schema"] = {"type": "string", "format": "byte", "minLength": 1}
        limit["schema"] = {
            "type": "integer",
            "minimum": 1,
            "maximum": LARGEST_PAGE,
            "default": PAGE_SIZE,
        }
        return [cursor, limit]


class ByName(KeysetPages):
    ordering = "name"


def check_parameters(request: Request, known: set[str]) -> None:
    """Raise ValidationError for query parameters that are unknown, empty or given twice."""
    for name, values in request.query_params.lists():
        if name not in known:
            text = f"Unknown parameter; known are {', '.join(sorted(known))}."
            raise ValidationError({name: [text]})
        if len(values) > 1 or not values[0]:
            raise ValidationError({name: ["Give it one value."]})
