"""One shape for every error of the API:

{"error": {"code": "version_conflict", "message": "...", "details": {...}}}
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from dlq import exceptions as letters
from outbox import exceptions as outbox
from outbox.api.reading import BodyTooLarge
from outbox.statements import DATABASE_IS_AWAY
from sagas import exceptions as sagas
from sagas.definitions import DefinitionError

logger = logging.getLogger(__name__)

# What the services raise → status and code. The first that fits counts.
REFUSALS: list[tuple[type[Exception], int, str]] = [
    (sagas.SagaNotFound, 404, sagas.SagaNotFound.code),
    (sagas.DefinitionNotFound, 404, sagas.DefinitionNotFound.code),
    (sagas.ScheduleNotFound, 404, sagas.ScheduleNotFound.code),
    (sagas.InvalidSchedule, 400, sagas.InvalidSchedule.code),
    (sagas.DefinitionChanged, 409, sagas.DefinitionChanged.code),
    (sagas.DefinitionUnreadable, 409, sagas.DefinitionUnreadable.code),
    (sagas.IdempotencyConflict, 409, sagas.IdempotencyConflict.code),
    (sagas.VersionConflict, 409, sagas.VersionConflict.code),
    (sagas.IllegalVerb, 409, sagas.IllegalVerb.code),
    (sagas.SignalRefused, 409, sagas.SignalRefused.code),
    (sagas.InvalidInput, 400, sagas.InvalidInput.code),
    (sagas.InvalidOrder, 400, sagas.InvalidOrder.code),
    (sagas.CallbackExpired, 403, sagas.CallbackExpired.code),
    (sagas.CallbackRefused, 403, sagas.CallbackRefused.code),
    (DefinitionError, 400, "invalid_definition"),
    (letters.LetterNotFound, 404, "dead_letter_not_found"),
    (letters.LetterChanged, 409, "version_conflict"),
    (letters.LetterSettled, 409, "letter_settled"),
    (letters.ReasonRequired, 400, "invalid_order"),
    (outbox.RouteNotFound, 404, "route_not_found"),
    (outbox.MessageRefused, 400, "message_refused"),
    *((error, 503, "database_away") for error in DATABASE_IS_AWAY),
]
AWAY = "The database does not answer; try again in a moment."
BROKEN = "Something went wrong here. It has been logged."


def envelope(code: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": details or {}}}


def envelope_errors(exc: Exception, context: dict[str, Any]) -> Response:
    """Return the answer to an error, whatever it is (REST_FRAMEWORK["EXCEPTION_HANDLER"])."""
    set_rollback()
    exc = _as_api_exception(exc)
    if isinstance(exc, exceptions.APIException):
        return _api_error(exc)
    for kind, status, code in REFUSALS:
        if isinstance(exc, kind):
            return _refusal(exc, status, code)
    request = context["request"]
    logger.error("%s %s failed", request.method, request.path, exc_info=exc)
    # What Django itself does with an exception that nobody caught.
    got_request_exception.send(sender=None, request=request)
    return Response(envelope("server_error", BROKEN), status=500)


def _as_api_exception(exc: Exception) -> Exception:
    if isinstance(exc, Http404):
        return exceptions.NotFound()
    if isinstance(exc, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(exc, RequestDataTooBig):
        return BodyTooLarge()
    if isinstance(exc, SuspiciousOperation):
        return exceptions.ParseError(str(exc))
    return exc


def _api_error(exc: exceptions.APIException) -> Response:
    headers = {}
    if auth_header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait))
    if isinstance(exc, exceptions.ValidationError):
        body = _invalid(exc.detail)
    else:
        code = getattr(exc.detail, "code", exc.default_code)
        body = envelope(code, str(exc.detail))
    return Response(body, status=exc.status_code, headers=headers)


def _invalid(detail: Any) -> dict[str, Any]:
    """Return the envelope of a body or parameters that did not pass; the message has the first."""
    fields = detail if isinstance(detail, dict) else {"non_field_errors": detail}
    name, text = _first_problem(fields)
    message = text if name == "non_field_errors" else f"{name}: {text}"
    return envelope("invalid_request", message, {"fields": fields})


def _first_problem(detail: Any) -> tuple[str, str]:
    """Return where the first problem of nested ones is (`sagas.3.input`), and what it is."""
    path: list[str] = []
    while isinstance(detail, dict | list):
        items = detail.items() if isinstance(detail, dict) else enumerate(detail)
        name, detail = next((item for item in items if item[1]), ("", ""))
        if isinstance(detail, dict | list):
            path.append(str(name))
    return ".".join(path), str(detail)


def _refusal(exc: Exception, status: int, code: str) -> Response:
    if status == 503:
        logger.warning("The database does not answer: %s", exc)
        return Response(envelope(code, AWAY), status=503, headers={"Retry-After": "5"})
    if isinstance(exc, DefinitionError):
        problems = [problem._asdict() for problem in exc.problems]
        return Response(envelope(code, str(exc), {"problems": problems}), status=status)
    details = {name: _plain(value) for name, value in vars(exc).items()}
    return Response(envelope(code, str(exc), details), status=status)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


@csrf_exempt
def no_such_address(request: HttpRequest) -> JsonResponse:
    """Answer what no view of the API answers, in the API's own shape."""
    message = f"There is nothing at {request.path}; see /api/v1/docs/."
    return JsonResponse(envelope("not_found", message), status=404)
