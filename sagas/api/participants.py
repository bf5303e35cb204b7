"""Participants and their replies."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError as InvalidLimits
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from outbox.api.pausing import PausableViews
from outbox.api.permissions import caller
from outbox.api.reading import read_body
from outbox.api.resources import Resource
from outbox.audit import Actor
from sagas.api.bodies import CloseBreakerBody, LimitsBody
from sagas.api.filters import ParticipantFilters
from sagas.api.orders import read_traceparent
from sagas.api.serializers import ParticipantRow
from sagas.callbacks import complete, read_token
from sagas.models import Participant
from sagas.participants.directory import pause_participant, resume_participant
from sagas.participants.figures import names_of, read_conditions
from sagas.participants.limiting import close_breaker, limit_participant
from sagas.replies import participant_of, take_reply


class ParticipantViews(PausableViews):
    """Services that perform steps."""

    permissions = {
        "list": "sagas.view_participant",
        "retrieve": "sagas.view_participant",
        "pause": "sagas.pause_participant",
        "resume": "sagas.pause_participant",
        "partial_update": "sagas.limit_participant",
        "close_breaker": "sagas.limit_participant",
    }
    http_method_names = [*PausableViews.http_method_names, "patch"]
    queryset = Participant.objects.all()
    serializer_class = ParticipantRow
    filterset_class = ParticipantFilters
    pause_row = staticmethod(pause_participant)
    resume_row = staticmethod(resume_participant)

    @extend_schema(request=LimitsBody)
    def partial_update(self, request: Request, name: str) -> Response:
        """Change its limits; what is not named stays. Safe to repeat."""
        return self._change(_limit, request, read_body(LimitsBody, request))

    @extend_schema(request=CloseBreakerBody)
    @action(detail=True, methods=["post"], url_path="close-breaker")
    def close_breaker(self, request: Request, name: str) -> Response:
        """Close its breaker by hand; it opens again when calls go on failing. Safe to repeat."""
        return self._change(close_breaker, request, read_body(CloseBreakerBody, request))

    def paginate_queryset(self, queryset: Any) -> Any:
        rows = super().paginate_queryset(queryset)
        # At once for the whole page.
        self._conditions = read_conditions(names_of(rows or []))
        return rows

    def get_serializer_context(self) -> dict[str, Any]:
        conditions = getattr(self, "_conditions", None)
        return {**super().get_serializer_context(), "conditions": conditions}


def _limit(row: Participant, *, actor: Actor, reason: str, **limits: Any) -> None:
    try:
        limit_participant(row, limits, actor=actor, reason=reason)
    except InvalidLimits as error:
        raise serializers.ValidationError(serializers.as_serializer_error(error)) from error


class Receipt(serializers.Serializer[Any]):
    result = serializers.ChoiceField(choices=["recorded", "repeated", "buried"])


class ReplyViews(Resource):
    """What participants answer when they have accepted a command and worked it off later."""

    permissions = {"create": "sagas.reply_saga"}
    # As many come as calls were made.
    throttle_classes = []

    @extend_schema(
        request=OpenApiTypes.ANY,
        responses={202: Receipt},
        examples=[
            OpenApiExample(
                "a success",
                request_only=True,
                value={
                    "message_id": "flight-service-4711",
                    "correlation_id": "01990000-0000-7000-8000-000000000000/ReserveFlight/do",
                    "attempt": 1,
                    "outcome": "succeeded",
                    "output": {"reservation": "F-17"},
                },
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Hand in a reply; safe to repeat with the same message_id.

        A reply that cannot be understood, or that nobody waits for, is kept as a dead letter of
        the account that handed it in, and accepted: sending it again would not help.
        """
        return _receive(request, request.data, participant=caller(request).get_username())


class CallbackView(APIView):
    """Where the reply to one call goes; the address itself is the proof of who answers."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    http_method_names = ["post"]
    errors: ClassVar[dict[int, str]] = {
        403: "The address was not signed here, has expired, or is that of another call.",
        404: "It is no such address.",
        406: "The Accept header asks for something that is not JSON.",
    }

    @extend_schema(
        request=OpenApiTypes.ANY,
        responses={202: Receipt},
        auth=[],
        examples=[
            OpenApiExample(
                "a success",
                request_only=True,
                value={
                    "message_id": "flight-service-4711",
                    "outcome": "succeeded",
                    "output": {"reservation": "F-17"},
                },
            )
        ],
    )
    def post(self, request: Request, token: str) -> Response:
        """Hand in the reply to a call at the address that came with it, without a login.

        The address names the call; the reply need not, and must not name another one.
        """
        call = read_token(token)
        payload = complete(request.data, call)
        return _receive(request, payload, participant=participant_of(call["correlation_id"]))


def _receive(request: Request, payload: Any, *, participant: str) -> Response:
    traceparent = read_traceparent(request)
    headers = {"traceparent": traceparent} if traceparent else {}
    result = take_reply(payload, participant=participant, headers=headers)
    return Response(Receipt({"result": result}).data, status=202)
