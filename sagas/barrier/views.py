"""The barrier for views, of Django's own or of Django REST framework.

    @guarded(direction="forward")
    def reserve(request):
        command = read_command(request)
        return JsonResponse({"reserved": command.input["items"]})

On methods of a class: `@method_decorator(guarded(direction="forward"))`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from sagas.barrier.barrier import once
from sagas.barrier.exceptions import BusinessFailure, InvalidKey
from sagas.barrier.keys import Direction, Key, parse_key

View = Callable[..., Any]
# Beside everything from 500 on: "not now".
_PASSING = frozenset({408, 425, 429})


class Command(NamedTuple):
    """What the engine tells a participant over HTTP."""

    idempotency_key: str
    saga_id: str
    business_key: str
    definition: str
    step: str
    action: str
    direction: str
    attempt: int
    input: Any
    # What the steps before returned, by step name.
    outputs: dict[str, Any]
    # Of an undo: the key of the action that it takes back.
    undoes: str = ""


class _NotNow(Exception):
    """The view has answered that it is to be asked again; nothing may be kept."""

    def __init__(self, response: HttpResponseBase) -> None:
        self.response = response


def guarded(*, direction: Direction | None = None) -> Callable[[View], View]:
    """Let a view do its work once per `Idempotency-Key`, and repeat its first answer.

    The view's answer counts as the participant's: 2xx is done; 408, 425, 429 and 5xx undo what
    the view wrote and are forgotten; any other undoes it as well, but is remembered. A view may
    return JSON data instead of a response, and raise BusinessFailure. With a direction, keys of
    another form are answered with 400.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                key = _read_key(request, direction)
            except InvalidKey as error:
                no = BusinessFailure(str(error), code="invalid_key", status=400)
                return _respond(no.answer, no.status)
            return _answer(key, lambda: view(request, *args, **kwargs))

        return wrapper

    return decorate


def read_command(request: HttpRequest) -> Command:
    """Return what the request orders. Raises BusinessFailure (400) when it is no such order."""
    try:
        # The request of REST framework has read its stream already.
        data = request.data if hasattr(request, "data") else json.loads(request.body)
        return Command(
            idempotency_key=_header(request, "Idempotency-Key"),
            saga_id=str(data["saga_id"]),
            business_key=str(data["business_key"]),
            definition=str(data["definition"]),
            step=str(data["step"]),
            action=str(data["action"]),
            direction=str(data["direction"]),
            attempt=int(data["attempt"]),
            input=data["input"],
            outputs=dict(data["outputs"]),
            undoes=_header(request, "Sagadesk-Undoes"),
        )
    except (ValueError, TypeError, KeyError) as error:
        message = f"The body is no order of a saga's step: {error!r}"
        raise BusinessFailure(message, code="invalid_body", status=400) from error


def _answer(key: Key, view: Callable[[], Any]) -> HttpResponseBase:
    response: HttpResponseBase | None = None
    try:
        with once(key) as call:
            if not call.is_settled:
                response = _run(view)
                call.status, call.answer = response.status_code, _body(response)
    except _NotNow as passing:
        return passing.response
    except BusinessFailure as refusal:
        return _respond(refusal.answer, refusal.status)
    return response or _respond(call.answer, call.status)


def _run(view: Callable[[], Any]) -> HttpResponseBase:
    """Return the view's answer if it is a success. Raises _NotNow and BusinessFailure."""
    try:
        answer = view()
    except Http404 as error:
        raise BusinessFailure(str(error), code="not_found", status=404) from error
    except Exception as error:
        # REST framework's, of which this module knows only the attribute.
        status = getattr(error, "status_code", 500)
        if not _is_definite(status):
            raise
        raise BusinessFailure(str(error), status=status, code=type(error).__name__) from error
    if not isinstance(answer, HttpResponseBase):
        return JsonResponse(answer, safe=False)
    if 200 <= answer.status_code < 300:
        return answer
    if not _is_definite(answer.status_code):
        raise _NotNow(answer)
    raise BusinessFailure(
        f"HTTP status {answer.status_code}", status=answer.status_code, answer=_body(answer)
    )


def _is_definite(status: int) -> bool:
    return 300 <= status < 500 and status not in _PASSING


def _body(response: HttpResponseBase) -> Any:
    """Return the JSON of an answer."""
    if hasattr(response, "data"):
        # REST framework's is not rendered yet. Its numbers and dates are written in its own way,
        # and the answer must be the same when it is repeated.
        from rest_framework.renderers import JSONRenderer

        content = JSONRenderer().render(response.data)
    else:
        content = getattr(response, "content", b"")
    try:
        return json.loads(content) if content else None
    except ValueError as error:
        raise BusinessFailure(
            "Its answer is no JSON.", code="invalid_answer", status=422
        ) from error


def _respond(answer: Any, status: int) -> HttpResponse:
    if answer is None:
        return HttpResponse(status=status)
    return JsonResponse(answer, status=status, safe=False)


def _read_key(request: HttpRequest, direction: Direction | None) -> Key:
    text = _header(request, "Idempotency-Key")
    if not text:
        raise InvalidKey("The header Idempotency-Key is missing.")
    return parse_key(text, direction=direction, undoes=_header(request, "Sagadesk-Undoes"))


def _header(request: HttpRequest, name: str) -> str:
    """Return a key as it was sent: UTF-8, which Django reads as Latin-1."""
    text = request.headers.get(name, "")
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
