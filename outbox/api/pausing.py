"""Named rows that operators pause and resume: routes and participants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from outbox.api.paging import ByName
from outbox.api.permissions import caller
from outbox.api.reading import read_body
from outbox.api.resources import NAME_IN_PATH, Resource
from outbox.api.serializers import PauseBody, ResumeBody


class PausableViews(ListModelMixin, RetrieveModelMixin, Resource):
    """A list, one row by its name, and its two verbs.

    `pause_row` and `resume_row` take the row, `actor` and `reason`; both are safe to repeat.
    """

    pause_row: ClassVar[Callable[..., bool]]
    resume_row: ClassVar[Callable[..., bool]]
    pagination_class = ByName
    lookup_field = "name"
    lookup_value_regex = NAME_IN_PATH

    @extend_schema(request=PauseBody)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, name: str) -> Response:
        """Let nothing new begin here until it is resumed. Safe to repeat."""
        return self._change(type(self).pause_row, request, read_body(PauseBody, request))

    @extend_schema(request=ResumeBody)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, name: str) -> Response:
        """Let it go on. Safe to repeat."""
        return self._change(type(self).resume_row, request, read_body(ResumeBody, request))

    def _change(
        self, change: Callable[..., object], request: Request, order: dict[str, Any]
    ) -> Response:
        row = self.get_object()
        change(row, actor=caller(request), **order)
        row.refresh_from_db()
        return Response(self.get_serializer(row).data)
