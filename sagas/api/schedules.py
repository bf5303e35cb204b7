"""Schedules: sagas that start by crontab or interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from outbox.api.permissions import caller
from outbox.api.reading import Body, Number, Reason, Text, read_body
from outbox.api.resources import Resource
from sagas.scheduling import keeping
from sagas.scheduling.keeping import Schedule, Setting
from sagas.scheduling.plans import MOST_MADE_UP, PRIORITIES, schedules


class ScheduleBody(Body):
    """A schedule as it is to be; what is left out has its default."""

    name = Text(max_length=100, help_text="Another schedule of this name is changed.")
    definition = Text(max_length=100)
    business_key = Text(
        max_length=200, help_text="May hold {date}, {time} and {slot} of the time it starts at."
    )
    input = serializers.JSONField(default=dict, allow_null=True)
    cron = Text(required=False, max_length=500, help_text="Five fields, as in `0 3 * * 1-5`.")
    every = Text(required=False, max_length=20, help_text="Instead of cron: `15m`.")
    timezone = Text(required=False, max_length=64, help_text="Of cron; UTC without it.")
    version = Number(required=False, min_value=1, help_text="The newest without it.")
    tenant = Text(required=False, max_length=200)
    priority = serializers.ChoiceField(required=False, choices=PRIORITIES)
    make_up = Number(
        required=False, max_value=MOST_MADE_UP, help_text="Missed starts to make up at most; 0."
    )
    reason = Reason(help_text="Why; it stays in the audit log.")


class ScheduleOrder(Body):
    reason = Reason(help_text="Why; it stays in the audit log.")


class ScheduleRow(serializers.Serializer[Any]):
    name = serializers.CharField(source="row.name")
    enabled = serializers.BooleanField(source="row.enabled")
    when = serializers.CharField(help_text="The crontab, or the interval.")
    timezone = serializers.CharField(source="zone")
    next_at = serializers.DateTimeField(allow_null=True)
    problem = serializers.CharField(help_text="Why it was disabled by itself, or empty.")
    starts = serializers.SerializerMethodField(
        help_text="What it starts; null where that cannot be read."
    )

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_starts(self, schedule: Schedule) -> dict[str, Any] | None:
        if schedule.plan is None:
            return None
        hidden = ("problem", "schedule")
        plan = schedule.plan._asdict()
        return {name: value for name, value in plan.items() if name not in hidden}


class ScheduleViews(Resource):
    """Schedules, by name. There are few: the list is not paged."""

    permissions = {
        "list": "sagas.view_saga",
        "retrieve": "sagas.view_saga",
        "create": "sagas.start_saga",
        "enable": "sagas.start_saga",
        "disable": "sagas.start_saga",
        "remove": "sagas.start_saga",
    }
    queryset = schedules()
    serializer_class = ScheduleRow
    pagination_class = None  # type: ignore[assignment]
    filter_backends = []
    lookup_field = "name"
    lookup_value_regex = "[^/]{1,200}"

    @extend_schema(responses=ScheduleRow(many=True), filters=False)
    def list(self, request: Request) -> Response:
        """Show all schedules."""
        return Response(ScheduleRow(keeping.read_schedules(), many=True).data)

    @extend_schema(responses=ScheduleRow)
    def retrieve(self, request: Request, name: str) -> Response:
        """Show one schedule."""
        return Response(ScheduleRow(keeping.find_schedule(name)).data)

    @extend_schema(request=ScheduleBody, responses={200: ScheduleRow})
    def create(self, request: Request) -> Response:
        """Create a schedule, or change the one of this name. Safe to repeat.

        400: it could not start anything. 404: its definition is not stored.
        """
        body = read_body(ScheduleBody, request)
        reason = body.pop("reason")
        schedule = keeping.set_schedule(Setting(**body), actor=caller(request), reason=reason)
        return Response(ScheduleRow(schedule).data)

    @extend_schema(request=ScheduleOrder, responses=ScheduleRow)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, name: str) -> Response:
        """Let it start sagas from now on; what it missed meanwhile is not made up."""
        return self._give(keeping.enable_schedule, request, name)

    @extend_schema(request=ScheduleOrder, responses=ScheduleRow)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, name: str) -> Response:
        """Let it start nothing more; the sagas it has started go on."""
        return self._give(keeping.disable_schedule, request, name)

    @extend_schema(request=ScheduleOrder, responses=ScheduleRow)
    @action(detail=True, methods=["post"])
    def remove(self, request: Request, name: str) -> Response:
        """Remove it; the sagas it has started go on."""
        schedule = keeping.find_schedule(name)
        reason = read_body(ScheduleOrder, request)["reason"]
        keeping.remove_schedule(name, actor=caller(request), reason=reason)
        return Response(ScheduleRow(schedule).data)

    def _give(self, verb: Callable[..., Schedule], request: Request, name: str) -> Response:
        reason = read_body(ScheduleOrder, request)["reason"]
        return Response(ScheduleRow(verb(name, actor=caller(request), reason=reason)).data)
