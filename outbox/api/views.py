"""Messages, what of them is still to be delivered, and the routes that can be paused."""

from __future__ import annotations

from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from outbox.api.filters import DeliveryFilters, MessageFilters
from outbox.api.pausing import PausableViews
from outbox.api.resources import Resource
from outbox.api.serializers import (
    DeliveryRow,
    MessageDetail,
    MessageRow,
    RouteRow,
)
from outbox.models import Delivery, Message, Route
from outbox.routes import pause_route, resume_route


class MessageViews(ListModelMixin, RetrieveModelMixin, Resource):
    """Messages as they were published, newest first."""

    permissions = {"list": "outbox.view_message", "retrieve": "outbox.view_message"}
    queryset = Message.objects.all()
    serializer_class = MessageDetail
    serializer_classes = {"list": MessageRow}
    filterset_class = MessageFilters


class DeliveryViews(ListModelMixin, Resource):
    """Messages on their way to a route; a delivery that arrived is here no more."""

    permissions = {"list": "outbox.view_delivery"}
    queryset = Delivery.objects.select_related("route", "message").defer(
        "message__payload", "message__headers"
    )
    serializer_class = DeliveryRow
    filterset_class = DeliveryFilters


class RouteViews(PausableViews):
    """Where messages go."""

    permissions = {
        "list": "outbox.view_route",
        "retrieve": "outbox.view_route",
        "pause": "outbox.pause_route",
        "resume": "outbox.pause_route",
    }
    queryset = Route.objects.all()
    serializer_class = RouteRow
    pause_row = staticmethod(pause_route)
    resume_row = staticmethod(resume_route)
