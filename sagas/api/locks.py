"""Locks that sagas hold by name, and who waits for them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from outbox.api.filters import Filters, TextFilter
from outbox.api.permissions import caller
from outbox.api.reading import Body, Id, Reason, read_body
from outbox.api.resources import Resource
from sagas.locks import describe_locks, release_lock
from sagas.models import SagaLock


class WaiterRow(serializers.Serializer[Any]):
    saga = serializers.UUIDField(source="wait.saga_id")
    step = serializers.CharField(source="wait.step")
    since = serializers.DateTimeField(source="wait.since")


class LockRow(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="lock.pk")
    name = serializers.CharField(source="lock.name")
    saga = serializers.UUIDField(source="lock.saga_id", help_text="The saga that holds it.")
    saga_status = serializers.CharField(
        source="holder.status", default=None, allow_null=True, help_text="Null: the saga is gone."
    )
    step = serializers.CharField(source="lock.step", help_text="Before which it was taken.")
    taken_at = serializers.DateTimeField(source="lock.taken_at")
    waiters = WaiterRow(many=True, help_text="Who waits for it, the next one first.")


class ReleaseBody(Body):
    saga = Id(help_text="The saga that you saw holding it.")
    reason = Reason(help_text="Why; it stays in the journal and the audit log.")


class LockFilters(Filters):
    name = TextFilter()
    name_prefix = TextFilter(
        field_name="name", lookup_expr="startswith", help_text="How the name begins."
    )
    saga = TextFilter(method="of_saga", help_text="The id of the saga that holds it.")

    class Meta:
        model = SagaLock
        fields: list[str] = []

    def of_saga(self, locks: Any, name: str, value: str) -> Any:
        return locks.filter(saga_id=serializers.UUIDField().run_validation(value))


class LockViews(ListModelMixin, Resource):
    """Locks that sagas hold, the newest first. They are given back when a saga has ended."""

    permissions = {"list": "sagas.view_sagalock", "release": "sagas.release_sagalock"}
    queryset = SagaLock.objects.all()
    serializer_class = LockRow
    filterset_class = LockFilters
    lookup_value_regex = r"\d{1,18}"

    def paginate_queryset(self, queryset: Any) -> list[Any] | None:
        rows = super().paginate_queryset(queryset)
        return None if rows is None else describe_locks(rows)

    @extend_schema(request=ReleaseBody, responses={204: None})
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: str) -> Response:
        """Take a lock from a saga that is paused or has failed; whoever is next gets it.

        409: the saga does not hold it any more, or moves. Safe to repeat.
        """
        body = read_body(ReleaseBody, request)
        lock = self.get_object()
        release_lock(lock.name, body["saga"], actor=caller(request), reason=body["reason"])
        return Response(status=204)
