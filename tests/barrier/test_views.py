"""The barrier around views, of Django's own and of REST framework."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.test import RequestFactory
from django.utils.decorators import method_decorator
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from sagas.barrier.exceptions import BusinessFailure
from sagas.barrier.models import HandledCall
from sagas.barrier.views import guarded, read_command

pytestmark = pytest.mark.django_db


def post(
    view: Callable[..., Any],
    key: str | None = "s-1/Reserve/do",
    body: Any = None,
    *,
    undoes: str = "",
) -> Any:
    """Send an order as the engine does; return (status, JSON)."""
    order = {
        "saga_id": "s-1",
        "business_key": "T-1",
        "definition": "trip",
        "step": "Reserve",
        "action": "reserve",
        "direction": "forward",
        "attempt": 1,
        "input": {"sku": "MUG"},
        "outputs": {},
    }
    # What the engine's client puts on the wire, as Django reads it.
    keys = {"Idempotency-Key": key, "Sagadesk-Undoes": undoes or None}
    headers = {
        name: key.encode().decode("latin-1") for name, key in keys.items() if key is not None
    }
    response = view(
        RequestFactory().post(
            "/reserve",
            json.dumps(order if body is None else body),
            content_type="application/json",
            headers=headers,
        )
    )
    if hasattr(response, "render"):
        response.render()
    return response.status_code, json.loads(response.content) if response.content else None


class Shop:
    """A view that plays answers, and leaves an effect each time that it runs."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.runs = 0

    def __call__(self, request: HttpRequest) -> Any:
        self.runs += 1
        Group.objects.create(name=f"effect {self.runs}")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def effects() -> int:
    return Group.objects.filter(name__startswith="effect").count()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (JsonResponse({"a": 1}), (200, {"a": 1})),
        (JsonResponse({"a": 1}, status=201), (201, {"a": 1})),
        (HttpResponse(status=204), (204, None)),
        (JsonResponse({"later": True}, status=202), (202, {"later": True})),
        ({"plain": "data"}, (200, {"plain": "data"})),
    ],
)
def test_a_repeated_call_gets_the_first_answer(answer: Any, expected: Any) -> None:
    """Edge case 7."""
    shop = Shop(answer)
    view = guarded(direction="forward")(shop)

    assert [post(view), post(view)] == [expected, expected]
    assert (shop.runs, effects()) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (BusinessFailure("Sold out.", code="sold_out"), 409, "Sold out."),
        (BusinessFailure("Bad.", status=422), 422, "Bad."),
        (JsonResponse({"error": "no"}, status=403), 403, "no"),
        (HttpResponse(status=302), 302, ""),
        (ValidationError("What?"), 400, "What?"),
        (Http404("No such thing"), 404, "No such thing"),
    ],
)
def test_a_no_is_remembered_and_has_no_effect(answer: Any, status: int, words: str) -> None:
    """Edge case 7."""
    shop = Shop(answer)
    view = guarded(direction="forward")(shop)

    first, again = post(view), post(view)

    assert first == again
    assert first[0] == status
    assert words in json.dumps(first[1])
    assert (shop.runs, effects()) == (1, 0)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_passing_failure_is_forgotten_and_has_no_effect(status: int) -> None:
    shop = Shop(JsonResponse({"error": "away"}, status=status), JsonResponse({"a": 1}))
    view = guarded(direction="forward")(shop)

    assert post(view) == (status, {"error": "away"})
    assert (effects(), HandledCall.objects.count()) == (0, 0)
    assert post(view) == (200, {"a": 1})
    assert (shop.runs, effects()) == (2, 1)


@pytest.mark.parametrize("error", [ValueError("broken"), Throttled()])
def test_an_exception_is_forgotten_and_goes_on_to_django(error: Exception) -> None:
    view = guarded(direction="forward")(Shop(error))

    with pytest.raises(type(error)):
        post(view)

    assert (effects(), HandledCall.objects.count()) == (0, 0)


def test_an_undo_before_its_action_succeeds_and_the_action_is_refused() -> None:
    """Edge cases 5 and 6."""
    undo, shop = Shop({"undone": True}), Shop({"a": 1})

    assert post(guarded(direction="backward")(undo), "s-1/Reserve/undo") == (200, None)
    status, body = post(guarded(direction="forward")(shop))

    assert (status, body["error"]["code"]) == (409, "undone_before")
    assert (undo.runs, shop.runs) == (0, 0)


@pytest.mark.parametrize("step", ["Reserve", "예약"])
def test_an_undo_says_in_a_header_which_action_it_takes_back(step: str) -> None:
    """Edge cases 5 and 6."""
    undo, shop = guarded(direction="backward")(Shop()), guarded(direction="forward")(Shop({"a": 1}))

    assert post(undo, f"s-1/{step}/undo", undoes=f"s-1/{step}/do") == (200, None)

    assert post(shop, f"s-1/{step}/do")[0] == 409
    assert post(shop, f"s-1/{step}/do/2") == (200, {"a": 1})


def test_a_view_reads_which_action_it_takes_back() -> None:
    told = []

    def release(request: HttpRequest) -> dict[str, Any]:
        told.append(read_command(request).undoes)
        return {}

    post(guarded(direction="forward")(Shop({"a": 1})), "s-1/예약/do")
    post(guarded(direction="backward")(release), "s-1/예약/undo", undoes="s-1/예약/do")

    assert told == ["s-1/예약/do"]


def test_an_undo_of_another_steps_action_is_refused_before_anything_happens() -> None:
    undo = guarded(direction="backward")(Shop({}))

    status, body = post(undo, "s-1/Reserve/undo", undoes="s-1/Pack/do")

    assert (status, body["error"]["code"]) == (400, "invalid_key")
    assert not HandledCall.objects.exists()


@pytest.mark.parametrize("key", [None, "", "s-1/Reserve/undo", "x" * 300])
def test_a_key_that_is_none_is_refused_before_anything_happens(key: str | None) -> None:
    shop = Shop({"a": 1})

    status, body = post(guarded(direction="forward")(shop), key)

    assert (status, body["error"]["code"]) == (400, "invalid_key")
    assert (shop.runs, HandledCall.objects.count()) == (0, 0)


def test_without_a_direction_any_key_is_let_through_once() -> None:
    shop = Shop({"a": 1})
    view = guarded()(shop)

    assert post(view, "any") == post(view, "any") == (200, {"a": 1})
    assert shop.runs == 1


def test_a_view_reads_what_it_is_told() -> None:
    @guarded(direction="forward")
    def view(request: HttpRequest) -> Any:
        command = read_command(request)
        return {"key": command.idempotency_key, "sku": command.input["sku"]}

    assert post(view, "s-1/예약/do") == (200, {"key": "s-1/예약/do", "sku": "MUG"})


@pytest.mark.parametrize("body", [[], "x", {"saga_id": "s-1"}])
def test_a_body_that_is_no_order_is_refused(body: Any) -> None:
    @guarded(direction="forward")
    def view(request: HttpRequest) -> Any:
        return read_command(request)

    status, answer = post(view, body=body)

    assert (status, answer["error"]["code"]) == (400, "invalid_body")


def test_a_view_of_rest_framework_is_guarded_by_its_method() -> None:
    """Edge case 7."""

    class Reserve(APIView):
        authentication_classes: list[Any] = []
        permission_classes: list[Any] = []

        @method_decorator(guarded(direction="forward"))
        def post(self, request: Any) -> Response:
            command = read_command(request)
            Group.objects.create(name=f"effect {command.saga_id}")
            if command.input["sku"] == "NONE":
                raise ValidationError("No such SKU.")
            return Response({"price": Decimal("1.50")}, status=201)

    view = Reserve.as_view()
    order = {"saga_id": "s-2", "business_key": "T", "definition": "trip", "step": "Reserve"}
    order |= {"action": "reserve", "direction": "forward", "attempt": 1, "outputs": {}}
    bad = order | {"input": {"sku": "NONE"}}

    assert post(view) == post(view) == (201, {"price": 1.5})
    assert effects() == 1
    first = post(view, "s-2/Reserve/do", bad)
    assert first == post(view, "s-2/Reserve/do", order | {"input": {"sku": "MUG"}})
    assert (first[0], effects()) == (400, 1)
