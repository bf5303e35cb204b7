"""Operators' verbs and signals to one saga: an address each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from outbox.api.permissions import caller, demand
from outbox.api.reading import read_body, read_key
from outbox.api.resources import Resource
from sagas import verbs
from sagas.api.orders import read_order
from sagas.api.serializers import Plan, SagaDetail
from sagas.api.verb_bodies import (
    CompensateBody,
    MarkDoneBody,
    MoveBody,
    RetryBody,
    RunNowBody,
    SignalBody,
    SignalResult,
    SkipBody,
    StepBody,
    VerbBody,
)
from sagas.core.verbs import Verb
from sagas.exceptions import IllegalVerb
from sagas.signals import send_signal

View = TypeVar("View", bound=Callable[..., Response])

VERSION_HEADER = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": r'^((W/)?"\d{1,9}"|\d{1,9}|\*)$'},
    OpenApiParameter.HEADER,
    description="The version that you saw, as in ETag.",
)
KEY_HEADER = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="Repeated, nothing is done twice."
)


def verb_schema(body: type[VerbBody] = VerbBody, **example: Any) -> Callable[[View], View]:
    """Declare what a verb takes, with an example of it, and what it answers."""
    value = {"reason": "stock is back", "version": 7, "request_id": "ticket-42"} | example
    return extend_schema(
        request=body,
        responses=SagaDetail,
        parameters=[VERSION_HEADER, KEY_HEADER],
        examples=[OpenApiExample("An order", value, request_only=True)],
    )


class VerbViews(Resource):
    """What can be done with one saga."""

    verb_permissions = {verb.value: verbs.PERMISSIONS[verb] for verb in Verb} | {
        "signals": "sagas.signal_saga",
        "plan": "sagas.view_saga",
    }

    @extend_schema(
        responses=Plan,
        parameters=[
            OpenApiParameter("verb", str, required=True, enum=[verb.value for verb in Verb]),
            OpenApiParameter("step", str, description="For a verb that takes a step."),
            OpenApiParameter("steps", str, description="For compensate: A,C."),
            OpenApiParameter("to_version", int, description="For move."),
        ],
    )
    @action(detail=True)
    def plan(self, request: Request, pk: str) -> Response:
        """Show what a verb would do now: the calls that follow if each of them succeeds."""
        verb = read_verb(request.query_params.get("verb", ""))
        saga = self.get_object()
        answer = {"verb": verb.value, "version": saga.version, "legal": True, "why_not": None}
        try:
            shown = verbs.preview(verb, saga, _read_details(request), actor=caller(request))
        except IllegalVerb as refusal:
            answer |= {"legal": False, "why_not": str(refusal), "calls": [], "standing": []}
        else:
            answer |= {"calls": shown.calls, "standing": shown.standing}
        return Response(Plan(answer).data)

    @verb_schema(RetryBody)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Try every step that failed again, with a new budget of attempts.

        With an input it replaces the saga's: what fails is given the new one, with a new key.
        """
        if isinstance(request.data, dict) and "input" in request.data:
            demand(request, verbs.EDIT_INPUT)
        return self.perform(Verb.RETRY, pk, RetryBody)

    @verb_schema(CompensateBody, steps=["reserveHotel", "reserveFlight"])
    @action(detail=True, methods=["post"])
    def compensate(self, request: Request, pk: str) -> Response:
        """Undo what a failed or completed saga has done, or only some steps in a given order."""
        return self.perform(Verb.COMPENSATE, pk, CompensateBody)

    @verb_schema()
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Start no further step until the saga is resumed."""
        return self.perform(Verb.PAUSE, pk)

    @verb_schema()
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Let a paused saga go on; its deadlines stood still."""
        return self.perform(Verb.RESUME, pk)

    @verb_schema()
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Undo a running saga as soon as the call in flight has answered."""
        return self.perform(Verb.CANCEL, pk)

    @verb_schema(MarkDoneBody, step="reserveHotel", evidence="cancelled by phone, ticket 42")
    @action(detail=True, methods=["post"], url_path="mark-done")
    def mark_done(self, request: Request, pk: str) -> Response:
        """Record that a step's undo was done by hand, with evidence."""
        return self.perform(Verb.MARK_DONE, pk, MarkDoneBody)

    @verb_schema(SkipBody, step="reserveHotel", output={"room": "by hand"})
    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: str) -> Response:
        """Count a step as done that has failed, is next in line, or only waits."""
        return self.perform(Verb.SKIP, pk, SkipBody)

    @verb_schema(StepBody, step="reserveHotel")
    @action(detail=True, methods=["post"])
    def rewind(self, request: Request, pk: str) -> Response:
        """Undo what a failed saga has done from a step on, and do it again with new keys."""
        return self.perform(Verb.REWIND, pk, StepBody)

    @verb_schema(RunNowBody)
    @action(detail=True, methods=["post"], url_path="run-now")
    def run_now(self, request: Request, pk: str) -> Response:
        """End the wait for a time: of a step in back-off, or of a timer."""
        return self.perform(Verb.RUN_NOW, pk, RunNowBody)

    @verb_schema(MoveBody, to_version=3)
    @action(detail=True, methods=["post"])
    def move(self, request: Request, pk: str) -> Response:
        """Let a saga go on under another version of its definition."""
        return self.perform(Verb.MOVE, pk, MoveBody)

    @verb_schema()
    @action(detail=True, methods=["post"])
    def abandon(self, request: Request, pk: str) -> Response:
        """End a failed saga as it is; the journal lists the effects that stand."""
        return self.perform(Verb.ABANDON, pk)

    @verb_schema(StepBody, step="approveRefund")
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str) -> Response:
        """Decide that a step that waits for a decision is done."""
        return self.perform(Verb.APPROVE, pk, StepBody)

    @verb_schema(StepBody, step="approveRefund")
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: str) -> Response:
        """Decide that a step that waits for a decision has failed for good."""
        return self.perform(Verb.REJECT, pk, StepBody)

    @extend_schema(
        request=SignalBody,
        responses={202: SignalResult},
        parameters=[KEY_HEADER],
        examples=[
            OpenApiExample(
                "A signal",
                {"name": "picked_up", "data": {"by": "courier"}, "message_id": "scan-4711"},
                request_only=True,
            )
        ],
    )
    @action(detail=True, methods=["post"])
    def signals(self, request: Request, pk: str) -> Response:
        """Tell a saga something that a step of it waits for, or will wait for."""
        body = read_body(SignalBody, request)
        message_id = read_key(request, body.get("message_id"), field="message_id")
        if not message_id:
            raise ValidationError({"message_id": ["Give it, or an Idempotency-Key header."]})
        result = send_signal(
            UUID(pk), body["name"], body["data"], message_id=message_id, actor=caller(request)
        )
        return Response(SignalResult({"result": result}).data, status=202)

    def perform(self, verb: Verb, pk: str, body_class: type[VerbBody] = VerbBody) -> Response:
        """Give the verb to the saga and show it as it is afterwards."""
        body = body_class(data=self.request.data)
        body.is_valid(raise_exception=True)
        order = read_order(self.request, body.validated_data)
        verbs.perform(verb, UUID(pk), order, body.details())
        return self.show(UUID(pk))

    def show(self, saga_id: UUID) -> Response:
        raise NotImplementedError


def _read_details(request: Request) -> verbs.Details:
    """Return what the plan's parameters choose. Raises ValidationError."""
    params = request.query_params
    version = params.get("to_version")
    if version is not None and not (version.isascii() and version.isdecimal()):
        raise ValidationError({"to_version": ["It must be a whole number."]})
    return verbs.Details(
        step=params.get("step", ""),
        # Of what is not done yet there is none.
        evidence="-",
        steps=tuple(params["steps"].split(",")) if "steps" in params else None,
        version=None if version is None else int(version),
    )


def read_verb(text: str) -> Verb:
    """Return the verb of a query parameter. Raises ValidationError."""
    try:
        return Verb(text)
    except ValueError:
        known = ", ".join(Verb)
        raise ValidationError({"verb": [f"Name one of {known}."]}) from None
