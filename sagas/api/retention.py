"""The rules of retention, and the archive that they fill."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from outbox.api.filters import ByAge, ChoiceFilter, Filters, TextFilter
from outbox.api.permissions import caller
from outbox.api.reading import Body, Number, Reason, Text, read_body
from outbox.api.resources import Resource
from sagas.models import ArchivedSaga, Definition, RetentionRule
from sagas.retention.rules import MOST_DAYS, Rule, remove_rule, set_rule


class RuleRow(serializers.ModelSerializer[RetentionRule]):
    class Meta:
        model = RetentionRule
        fields = ["id", "definition", "status", "keep_days", "action"]


class RuleBody(Body):
    definition = Text(
        max_length=100, help_text="A definition's name, or * for those without a rule."
    )
    status = serializers.ChoiceField(choices=RetentionRule.Status.choices)
    keep_days = Number(min_value=1, max_value=MOST_DAYS, help_text="Days since the last change.")
    action = serializers.ChoiceField(choices=RetentionRule.Action.choices)
    reason = Reason(help_text="Why; it stays in the audit log.")


class RemoveBody(Body):
    reason = Reason(help_text="Why; it stays in the audit log.")


class RuleFilters(Filters):
    definition = TextFilter()
    status = ChoiceFilter(choices=RetentionRule.Status.choices)

    class Meta:
        model = RetentionRule
        fields: list[str] = []


class RetentionViews(ListModelMixin, Resource):
    """How long ended sagas are kept; without a rule the settings count."""

    permissions = {
        "list": "sagas.view_retentionrule",
        "create": "sagas.change_retentionrule",
        "remove": "sagas.change_retentionrule",
    }
    queryset = RetentionRule.objects.all()
    serializer_class = RuleRow
    filterset_class = RuleFilters
    lookup_value_regex = r"\d{1,18}"

    @extend_schema(request=RuleBody, responses={200: RuleRow})
    def create(self, request: Request) -> Response:
        """Set the rule of a definition and status, in the place of the one before. Safe to repeat.

        400: the definition is not stored, or its calls may be repeated for longer than that.
        """
        body = read_body(RuleBody, request)
        reason = body.pop("reason")
        row = set_rule(Rule(**body), actor=caller(request), reason=reason)
        return Response(RuleRow(row).data)

    @extend_schema(request=RemoveBody, responses=RuleRow)
    @action(detail=True, methods=["post"])
    def remove(self, request: Request, pk: str) -> Response:
        """Remove a rule, so that a more general one counts again."""
        body = read_body(RemoveBody, request)
        row = self.get_object()
        answer = RuleRow(row).data
        remove_rule(row, actor=caller(request), reason=body["reason"])
        return Response(answer)


class ArchivedRow(serializers.ModelSerializer[ArchivedSaga]):
    definition = serializers.CharField(source="definition.name")
    definition_version = serializers.IntegerField(source="definition.version")

    class Meta:
        model = ArchivedSaga
        fields = [
            "id",
            "definition",
            "definition_version",
            "business_key",
            "status",
            "started_at",
            "ended_at",
            "archived_at",
        ]


class ArchivedDetail(ArchivedRow):
    input = serializers.SerializerMethodField()
    idempotency_key = serializers.SerializerMethodField()
    state = serializers.SerializerMethodField(help_text="What every step has come to.")
    journal = serializers.SerializerMethodField(help_text="All entries, oldest first.")

    class Meta(ArchivedRow.Meta):
        fields = [*ArchivedRow.Meta.fields, "input", "idempotency_key", "state", "journal"]

    @extend_schema_field(serializers.JSONField(allow_null=True))
    def get_input(self, saga: ArchivedSaga) -> Any:
        return (saga.document["start"] or {}).get("input")

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_idempotency_key(self, saga: ArchivedSaga) -> Any:
        return (saga.document["start"] or {}).get("idempotency_key")

    @extend_schema_field(serializers.DictField())
    def get_state(self, saga: ArchivedSaga) -> Any:
        return saga.document["saga"]["state"]

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_journal(self, saga: ArchivedSaga) -> Any:
        return saga.document["journal"] or []


class ArchiveFilters(ByAge):
    business_key = TextFilter()
    business_key_prefix = TextFilter(
        field_name="business_key", lookup_expr="startswith", help_text="How the key begins."
    )
    definition = TextFilter(method="of_definition", help_text="The definition's name.")
    status = ChoiceFilter(choices=RetentionRule.Status.choices)

    class Meta:
        model = ArchivedSaga
        fields: list[str] = []

    def of_definition(
        self, sagas: QuerySet[ArchivedSaga], name: str, value: str
    ) -> QuerySet[ArchivedSaga]:
        ids = Definition.objects.filter(name=value).values_list("pk", flat=True)
        return sagas.filter(definition_id__in=list(ids))


class ArchiveViews(ListModelMixin, RetrieveModelMixin, Resource):
    """Sagas that ended long ago, newest first; they can only be read."""

    permissions = {"list": "sagas.view_saga", "retrieve": "sagas.view_saga"}
    queryset = ArchivedSaga.objects.select_related("definition").defer(
        "definition__spec", "definition__source"
    )
    serializer_class = ArchivedDetail
    serializer_classes = {"list": ArchivedRow}
    filterset_class = ArchiveFilters

    def get_queryset(self) -> Any:
        sagas = super().get_queryset()
        return sagas.defer("document") if self.action == "list" else sagas
