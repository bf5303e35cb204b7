"""Sagas: start them, look at them, and give them verbs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from outbox.api.paging import KeysetPages
from outbox.api.permissions import demand
from outbox.api.reading import read_body, read_key
from outbox.api.resources import missing
from sagas import verbs
from sagas.api.bodies import (
    BulkOrderBody,
    BulkOrderResult,
    BulkStartBody,
    BulkStartResult,
    StartBody,
    Started,
)
from sagas.api.filters import SagaFilters
from sagas.api.orders import read_order, read_traceparent
from sagas.api.serializers import JournalRow, SagaDetail, SagaRow, WaitingRow
from sagas.api.verbs import KEY_HEADER, VerbViews
from sagas.core.verbs import Verb
from sagas.models import JournalEntry, Saga
from sagas.retention.archive import find_archived
from sagas.starting import Start, start, start_many
from sagas.waiting import waiting


class JournalPages(KeysetPages):
    ordering = "-seq"


class SagaViews(ListModelMixin, VerbViews):
    """Instances of definitions, newest first."""

    permissions = {
        "list": "sagas.view_saga",
        "retrieve": "sagas.view_saga",
        "journal": "sagas.view_saga",
        "waiting": "sagas.view_saga",
        "create": "sagas.start_saga",
        "bulk": "sagas.start_saga",
        "give_many": "",  # of the verb in the body
    } | VerbViews.verb_permissions
    parameters = {"plan": {"verb", "step", "steps", "to_version"}, "journal": {"cursor", "limit"}}
    serializer_class = SagaRow
    filterset_class = SagaFilters
    queryset = Saga.objects.select_related("definition").defer(
        "definition__spec", "definition__source"
    )

    def get_queryset(self) -> Any:
        sagas = super().get_queryset()
        return sagas.defer("state") if self.action == "list" else sagas

    def retrieve(self, request: Request, pk: str) -> Response:
        """Show one saga with its steps, its newest journal entries and the verbs it allows.

        ETag holds its version, for If-Match.
        """
        return self.show(UUID(pk))

    def show(self, saga_id: UUID) -> Response:
        saga = self.get_queryset().select_related("start").filter(pk=saga_id).first()
        if saga is None:
            raise archived_or_missing(saga_id)
        return Response(SagaDetail(saga).data, headers={"ETag": f'"{saga.version}"'})

    @extend_schema(
        request=StartBody, responses={200: Started, 201: Started}, parameters=[KEY_HEADER]
    )
    def create(self, request: Request) -> Response:
        """Start a saga.

        201: it was started. 200: the same idempotency key had started it before. 409: the key has
        started another definition or input.
        """
        body = read_body(StartBody, request)
        started = start(
            body["definition"],
            body["input"],
            business_key=body["business_key"],
            version=body.get("version"),
            idempotency_key=read_key(request, body.get("idempotency_key"), field="idempotency_key"),
            traceparent=read_traceparent(request),
            tenant=body.get("tenant", ""),
            priority=body.get("priority"),
            at=body.get("at"),
        )
        answer = Started({"id": started.saga_id, "created": started.created})
        path = f"{request.path.rstrip('/')}/{started.saga_id}/"
        status = 201 if started.created else 200
        headers = {"Location": request.build_absolute_uri(path)}
        return Response(answer.data, status=status, headers=headers)

    @extend_schema(request=BulkStartBody, responses=BulkStartResult)
    @action(detail=False, methods=["post"])
    def bulk(self, request: Request) -> Response:
        """Start up to 1,000 sagas of one definition, with a result for each.

        An input that cannot be stored stops all of them; an idempotency key in use only its own.
        """
        body = read_body(BulkStartBody, request)
        starts = [Start(**item) for item in body["sagas"]]
        results = start_many(
            body["definition"],
            starts,
            version=body.get("version"),
            traceparent=read_traceparent(request),
        )
        rows = [
            {
                "business_key": item.business_key,
                "id": result.saga_id,
                "outcome": "created"
                if result.created
                else "conflict"
                if result.conflict
                else "repeated",
            }
            for item, result in zip(starts, results, strict=True)
        ]
        return Response(BulkStartResult({"results": rows}).data)

    @extend_schema(responses=WaitingRow(many=True), filters=False)
    @action(detail=False, filter_backends=[], pagination_class=None)
    def waiting(self, request: Request) -> Response:
        """Show what workers need and do not have while sagas wait for it.

        A callable, or a version of a definition that a newer release wrote. Such sagas stay
        queued and spend no attempts; all others go on.
        """
        rows = waiting()
        return Response(WaitingRow(rows, many=True).data)

    @extend_schema(responses=JournalRow(many=True))
    @action(detail=True, filter_backends=[], pagination_class=JournalPages)
    def journal(self, request: Request, pk: str) -> Response:
        """Show the whole history of one saga, newest entry first."""
        self.get_object()
        page = self.paginate_queryset(JournalEntry.objects.filter(saga_id=pk))
        return self.get_paginated_response(JournalRow(page, many=True).data)

    @extend_schema(request=BulkOrderBody, responses=BulkOrderResult, parameters=[KEY_HEADER])
    @action(detail=False, methods=["post"], url_path="verbs")
    def give_many(self, request: Request) -> Response:
        """Give one verb to up to 1,000 sagas; one refusal stops no other."""
        body = read_body(BulkOrderBody, request)
        verb = Verb(body["verb"])
        demand(request, verbs.PERMISSIONS[verb])
        items = [(item["id"], item.get("version")) for item in body["items"]]
        if verb == Verb.MOVE and "to_version" not in body:
            raise ValidationError({"to_version": ["Moving needs the version to go on under."]})
        details = verbs.Details(version=body.get("to_version"))
        results = verbs.perform_many(verb, items, read_order(request, body), details)
        rows = [
            {"id": result.saga_id, "outcome": result.outcome, "message": result.message}
            for result in results
        ]
        return Response(BulkOrderResult({"results": rows}).data)


def archived_or_missing(saga_id: UUID) -> NotFound:
    if find_archived(saga_id) is None:
        return missing(Saga, saga_id)
    return NotFound(f"Saga {saga_id} was archived; see archive/{saga_id}/.", code="saga_archived")
