"""What the API shows of the outbox."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from outbox.api.reading import Body, Reason, Text
from outbox.models import Delivery, Message, Route


class MessageRow(serializers.ModelSerializer[Message]):
    class Meta:
        model = Message
        fields = ["id", "type", "key", "saga_id", "created_at"]


class FailedDelivery(serializers.Serializer[Any]):
    at = serializers.CharField()
    error_class = serializers.CharField()
    message = serializers.CharField()


class DeliveryRow(serializers.ModelSerializer[Delivery]):
    message_id = serializers.UUIDField()
    type = serializers.CharField(source="message.type")
    route = serializers.CharField(source="route.name")
    errors = FailedDelivery(  # type: ignore[assignment]
        many=True, help_text="Failed attempts since it was last made ready."
    )

    class Meta:
        model = Delivery
        fields = [
            "id",
            "message_id",
            "type",
            "route",
            "key",
            "status",
            "attempts",
            "not_before",
            "errors",
            "letter_id",
            "created_at",
        ]


class MessageDetail(serializers.ModelSerializer[Message]):
    payload = serializers.JSONField()
    headers = serializers.DictField()
    pending = serializers.SerializerMethodField(
        help_text="Where it has not arrived yet; empty when every route has it."
    )

    class Meta:
        model = Message
        fields = [*MessageRow.Meta.fields, "payload", "headers", "pending"]

    @extend_schema_field(DeliveryRow(many=True))
    def get_pending(self, message: Message) -> Any:
        deliveries = message.deliveries.select_related("route", "message").order_by("id")
        return DeliveryRow(deliveries, many=True).data


class RouteRow(serializers.ModelSerializer[Route]):
    types = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Route
        fields = [
            "name",
            "transport",
            "target",
            "types",
            "on_dead",
            "max_attempts",
            "paused_at",
            "paused_by",
            "pause_reason",
            "outage_since",
            "outage_error",
        ]


class PauseBody(Body):
    reason = Reason(help_text="Why; whoever finds it paused reads this.")


class ResumeBody(Body):
    reason = Text(max_length=1000, required=False, allow_blank=True, default="")
