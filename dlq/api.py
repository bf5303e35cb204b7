"""The REST API of dead letters: look at them, reprocess them, discard them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from dlq import reprocessing
from dlq.models import Attempt, DeadLetter
from outbox.api.filters import ByAge, ChoiceFilter, IdFilter, TextFilter
from outbox.api.permissions import caller
from outbox.api.reading import Body, Id, Number, Reason, Text, read_body, read_key
from outbox.api.resources import Resource

# A letter that has been reprocessed for weeks shows its newest attempts.
ATTEMPTS_SHOWN = 100


class LetterRow(serializers.ModelSerializer[DeadLetter]):
    class Meta:
        model = DeadLetter
        fields = [
            "id",
            "status",
            "source",
            "reason",
            "destination",
            "message_id",
            "type",
            "key",
            "saga_id",
            "error_class",
            "error_message",
            "fingerprint",
            "attempts",
            "version",
            "dead_at",
            "settled_at",
            "settled_by",
            "settle_reason",
        ]


class AttemptRow(serializers.ModelSerializer[Attempt]):
    class Meta:
        model = Attempt
        fields = ["number", "at", "error_class", "error_message", "trace"]


class LetterDetail(serializers.ModelSerializer[DeadLetter]):
    payload = serializers.JSONField(allow_null=True)
    headers = serializers.DictField()
    history = serializers.SerializerMethodField(
        help_text=f"The newest {ATTEMPTS_SHOWN} failed attempts, oldest of them first."
    )

    class Meta:
        model = DeadLetter
        fields = [*LetterRow.Meta.fields, "payload", "headers", "history"]

    @extend_schema_field(AttemptRow(many=True))
    def get_history(self, letter: DeadLetter) -> Any:
        newest = letter.attempt_set.order_by("-number")[:ATTEMPTS_SHOWN]
        return AttemptRow(list(newest)[::-1], many=True).data


class LetterFilters(ByAge):
    status = ChoiceFilter(choices=DeadLetter.Status.choices)
    destination = TextFilter(help_text="A route's name, or a participant's.")
    source = ChoiceFilter(choices=DeadLetter.Source.choices)
    reason = ChoiceFilter(choices=DeadLetter.Reason.choices)
    fingerprint = TextFilter(help_text="What groups letters of one cause.")
    saga_id = IdFilter()

    class Meta:
        model = DeadLetter
        fields: list[str] = []


class ReprocessBody(Body):
    reason = Text(max_length=1000, required=False, allow_blank=True, default="")
    version = Number(
        required=False,
        allow_null=True,
        help_text="The version that you saw; with another one nothing is done.",
    )
    request_id = Text(
        max_length=100,
        required=False,
        help_text="Repeated, nothing is done twice. Or use the Idempotency-Key header.",
    )


class DiscardBody(ReprocessBody):
    reason = Reason()


class ReprocessManyBody(Body):
    """Which open letters, oldest first: of a destination, of a fingerprint, by id, or any."""

    destination = Text(max_length=200, required=False)
    fingerprint = Text(max_length=64, required=False)
    ids = serializers.ListField(
        child=Id(),
        required=False,
        min_length=1,
        max_length=reprocessing.MAX_BATCH,
    )
    limit = Number(default=100, min_value=1, max_value=reprocessing.MAX_BATCH)
    reason = Text(max_length=1000, required=False, allow_blank=True, default="")


class LetterOutcome(serializers.Serializer[reprocessing.ItemResult]):
    id = serializers.UUIDField(source="letter_id")
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in reprocessing.Outcome])
    detail = serializers.CharField(allow_blank=True)


class BatchOutcome(serializers.Serializer[Any]):
    counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many letters had which outcome."
    )
    results = LetterOutcome(many=True)


class LetterViews(ListModelMixin, RetrieveModelMixin, Resource):
    """Messages and replies that nobody could take."""

    permissions = {
        "list": "dlq.view_deadletter",
        "retrieve": "dlq.view_deadletter",
        "reprocess": "dlq.reprocess_deadletter",
        "reprocess_many": "dlq.reprocess_deadletter",
        "discard": "dlq.discard_deadletter",
    }
    queryset = DeadLetter.objects.all()
    serializer_class = LetterDetail
    serializer_classes = {"list": LetterRow}
    filterset_class = LetterFilters

    def get_queryset(self) -> Any:
        letters = super().get_queryset()
        return letters.defer("payload", "headers") if self.action == "list" else letters

    @extend_schema(request=ReprocessBody, responses=LetterOutcome)
    @action(detail=True, methods=["post"])
    def reprocess(self, request: Request, pk: str) -> Response:
        """Try one letter again.

        An outbox message is queued in its old place and recovered once it has been published; a
        participant's reply is taken at once.
        """
        body = read_body(ReprocessBody, request)
        result = reprocessing.reprocess(UUID(pk), **self.read_order(body))
        return Response(LetterOutcome(result).data)

    @extend_schema(request=DiscardBody, responses=LetterOutcome)
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: str) -> Response:
        """Give one letter up for good; what was parked behind it goes on."""
        body = read_body(DiscardBody, request)
        batch = reprocessing.discard(UUID(pk), **self.read_order(body))
        return Response(LetterOutcome(batch.items[0]).data)

    @extend_schema(
        operation_id="dlq_reprocess_many", request=ReprocessManyBody, responses=BatchOutcome
    )
    @action(detail=False, methods=["post"], url_path="reprocess")
    def reprocess_many(self, request: Request) -> Response:
        """Try many open letters again, with an outcome for each."""
        body = read_body(ReprocessManyBody, request)
        batch = reprocessing.reprocess_batch(actor=caller(request), **body)
        counts = {outcome.value: batch.count(outcome) for outcome in reprocessing.Outcome}
        counts = {outcome: count for outcome, count in counts.items() if count}
        return Response(BatchOutcome({"counts": counts, "results": batch.items}).data)

    def read_order(self, body: dict[str, Any]) -> dict[str, Any]:
        request_id = read_key(self.request, body.get("request_id"), field="request_id")
        return {
            "actor": caller(self.request),
            "reason": body["reason"],
            "version": body.get("version"),
            "request_id": request_id,
        }
