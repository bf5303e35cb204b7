"""What callers send about sagas."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.dateparse import parse_datetime
from rest_framework import serializers

from outbox.api.reading import Body, Id, Number, Reason, Text
from sagas.engine.lanes import Priority
from sagas.verbs import FOR_MANY

MOST_AT_ONCE = 1_000


class PriorityField(serializers.ChoiceField):
    """high, normal or low."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(["high", "normal", "low"], **kwargs)

    def to_internal_value(self, data: Any) -> Priority:  # type: ignore[override]
        return Priority[super().to_internal_value(data).upper()]


class Moment(serializers.DateTimeField):
    """A time with its time zone (RFC 3339); without one nobody could say when that is."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            moment = parse_datetime(data) if isinstance(data, str) else None
        except ValueError:
            moment = None
        if moment is None or moment.utcoffset() is None:
            raise serializers.ValidationError(
                "Write a time with its time zone, such as 2027-03-14T09:00:00+09:00."
            )
        return moment


class StartBody(Body):
    definition = Text(max_length=100, help_text="The definition's name.")
    business_key = Text(max_length=200, help_text="What people know it by, such as an order id.")
    input = serializers.JSONField(
        default=dict,
        allow_null=True,
        help_text=f"Any JSON up to {settings.SAGAS_MAX_INPUT_BYTES:,} bytes.",
    )
    version = Number(
        required=False, min_value=1, help_text="Of the definition; the newest without it."
    )
    idempotency_key = Text(
        max_length=200,
        required=False,
        help_text="The same key starts one saga only. Or use the Idempotency-Key header.",
    )
    tenant = Text(
        max_length=200, required=False, help_text="For whom; the sagas of tenants take turns."
    )
    priority = PriorityField(required=False, help_text="Without it the definition's own.")
    at = Moment(required=False, help_text="Its first step waits until then; at once without it.")


class BulkItem(Body):
    business_key = StartBody().fields["business_key"]
    input = StartBody().fields["input"]
    idempotency_key = Text(max_length=200, required=False)
    tenant = StartBody().fields["tenant"]
    priority = StartBody().fields["priority"]
    at = StartBody().fields["at"]


class BulkStartBody(Body):
    definition = Text(max_length=100)
    version = Number(required=False, min_value=1)
    sagas = serializers.ListField(child=BulkItem(), min_length=1, max_length=MOST_AT_ONCE)


class Started(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    created = serializers.BooleanField(help_text="false: the same key had started it before.")


class BulkStarted(serializers.Serializer[Any]):
    business_key = serializers.CharField()
    id = serializers.UUIDField(help_text="The saga; with a conflict the one that has the key.")
    outcome = serializers.ChoiceField(choices=["created", "repeated", "conflict"])


class BulkStartResult(serializers.Serializer[Any]):
    results = BulkStarted(many=True, help_text="In the order of the request.")


class OrderBody(Body):
    """An operator's order: why, what was seen, and a request id against repeated presses."""

    reason = Reason()
    version = Number(
        required=False,
        allow_null=True,
        help_text="The version that you saw; with another one nothing is done. Or use If-Match.",
    )
    request_id = Text(
        max_length=100,
        required=False,
        help_text="Repeated, nothing is done twice. Or use the Idempotency-Key header.",
    )


class Rate(serializers.FloatField):
    """A number; texts and true are none."""

    def to_internal_value(self, data: Any) -> float:
        if not isinstance(data, int | float) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class LimitsBody(Body):
    """The limits of a participant that are to change; null takes one away."""

    reason = Reason()
    max_concurrency = Number(required=False, allow_null=True, min_value=1, max_value=10_000)
    max_rate = Rate(required=False, allow_null=True, min_value=0.01, max_value=100_000)
    breaker_failures = Number(required=False, allow_null=True, min_value=1, max_value=1_000)
    breaker_ratio = Number(required=False, allow_null=True, min_value=1, max_value=100)
    breaker_window_s = Number(required=False, min_value=1, max_value=3_600)
    breaker_open_s = Number(required=False, min_value=1, max_value=3_600)


class CloseBreakerBody(Body):
    reason = Reason()


class OrderItem(Body):
    id = Id()
    version = Number(required=False, allow_null=True)


class BulkOrderBody(Body):
    verb = serializers.ChoiceField(choices=[verb.value for verb in FOR_MANY])
    items = serializers.ListField(child=OrderItem(), min_length=1, max_length=MOST_AT_ONCE)
    reason = Reason()
    request_id = Text(max_length=60, required=False)
    to_version = Number(min_value=1, required=False, help_text="For move, and needed there.")


class BulkOrderItemResult(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    outcome = serializers.ChoiceField(choices=["done", "conflict", "illegal", "missing"])
    message = serializers.CharField(allow_blank=True)


class BulkOrderResult(serializers.Serializer[Any]):
    results = BulkOrderItemResult(many=True, help_text="In the order of the request.")
