"""Calls of an existing API against a real HTTP server: what is sent, and what answers mean."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from sagas.core.state import Direction
from sagas.participants.answers import Answer
from sagas.participants.calls import Call
from sagas.participants.descriptions import read_description
from sagas.participants.http import HttpClient
from sagas.participants.secrets import Holder
from tests.sagas.http_service import LOST, HttpService, Reply, refused_address

SECRET = "SAGADESK_PARTICIPANT_SECRET_PAYMENT__KEY"
HOLDER = Holder("Payment", "http://127.0.0.1")
SAGA = uuid.UUID("01990000-0000-7000-8000-000000000000")


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(concurrency=1)
    yield client
    client.close()


def make_call(**overrides: Any) -> Call:
    fields: dict[str, Any] = {
        "saga_id": SAGA,
        "business_key": "order-1",
        "definition": "orders",
        "step": "Pay",
        "action": "charge",
        "direction": Direction.FORWARD,
        "attempt": 1,
        "idempotency_key": f"{SAGA}/Pay/do",
        "deadline": datetime.now(UTC),
        "input": {"order_id": "o-1", "amount": 30},
        "outputs": {"Book": {"id": "B/1"}},
    }
    return Call(**(fields | overrides))


class Api:
    """Calls one described action of the service."""

    def __init__(self, client: HttpClient, address: str) -> None:
        self.client = client
        self.address = address

    def call(self, call: Call | None = None, **action: Any) -> Answer:
        call = call or make_call()
        described = read_description({"actions": {"charge": {"path": "/charge"} | action}}, HOLDER)
        return self.client.call(self.address, call, timeout_s=10, described=described["charge"])

    def probe(self, **probe: Any) -> Answer:
        action = {"path": "/charge", "output": "body.id", "probe": {"path": "/found"} | probe}
        described = read_description({"actions": {"charge": action}}, HOLDER)["charge"].probe
        assert described is not None
        return self.client.probe(self.address, make_call(), timeout_s=10, described=described)


@pytest.fixture
def api(client: HttpClient, service: HttpService) -> Api:
    return Api(client, service.address)


def test_a_form_is_sent_as_described(api: Api, service: HttpService, settings: Any) -> None:
    settings.SAGAS_SECRETS = {SECRET: "sk_test_123"}

    answer = api.call(
        path="/v1/orders/{input.order_id}/charges",
        form={
            "amount": "input.amount",
            "metadata[saga]": "saga_id",
            "capture": "`true`",
            "tag": "['a', 'b']",
            "note": "input.note",
        },
        query={"expand": "outputs.Book.id", "none": "input.none"},
        headers={"Authorization": "Bearer ${env:SAGADESK_PARTICIPANT_SECRET_PAYMENT__KEY}"},
        output="{did: body.did}",
    )

    [got] = service.requests
    assert answer == Answer("succeeded", output={"did": "charges"})
    assert (got.method, got.path) == ("POST", "/v1/orders/o-1/charges?expand=B%2F1")
    assert got.key == f"{SAGA}/Pay/do"
    assert got.headers["Authorization"] == "Bearer sk_test_123"
    assert got.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(got.body) == [
        ("amount", "30"),
        ("metadata[saga]", str(SAGA)),
        ("capture", "true"),
        ("tag", "a"),
        ("tag", "b"),
    ]


def test_a_json_body_may_be_nested_and_leaves_out_what_is_not_there(
    api: Api, service: HttpService
) -> None:
    api.call(
        method="PUT",
        json={
            "amount": {"value": "input.amount", "currency": "'KRW'"},
            "lines": [{"sku": "input.order_id"}, 7],
            "note": "input.note",
            "nothing": None,
        },
    )

    [got] = service.requests
    assert got.method == "PUT"
    assert got.body == {
        "amount": {"value": 30, "currency": "KRW"},
        "lines": [{"sku": "o-1"}, 7],
        "nothing": None,
    }


def test_a_whole_body_may_be_one_expression(api: Api, service: HttpService) -> None:
    api.call(json="{order: input, attempt: attempt, way: direction, absent: input.none}")

    assert service.requests[0].body == {
        "order": {"order_id": "o-1", "amount": 30},
        "attempt": 1,
        "way": "forward",
        "absent": None,
    }


def test_the_idempotency_header_has_the_name_and_form_that_the_api_wants(
    api: Api, service: HttpService
) -> None:
    api.call(idempotency_header="X-Request-Id")
    api.call(idempotency_header=None)
    api.call(headers={"idempotency-key": "{idempotency_uuid}"})
    api.call(headers={"idempotency-key": "{idempotency_uuid}"})

    named, none, *short = [
        {name.lower(): value for name, value in got.headers.items()} for got in service.requests
    ]
    assert named["x-request-id"] == f"{SAGA}/Pay/do"
    assert "idempotency-key" not in named | none
    assert uuid.UUID(short[0]["idempotency-key"])
    assert short[0]["idempotency-key"] == short[1]["idempotency-key"]


def test_an_undo_can_be_told_which_action_it_takes_back(api: Api, service: HttpService) -> None:
    undo = make_call(direction=Direction.BACKWARD, undoes=f"{SAGA}/Pay/do/2")

    api.call(undo, json={"cancels": "undoes"})

    assert service.requests[0].body == {"cancels": f"{SAGA}/Pay/do/2"}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("a b/c", "/x/a%20b%2Fc/y"),
        ("?a=b#c", "/x/%3Fa%3Db%23c/y"),
        ("@evil.test", "/x/%40evil.test/y"),
        ("주문", "/x/%EC%A3%BC%EB%AC%B8/y"),
        ("%2e%2e", "/x/%252e%252e/y"),
        (12, "/x/12/y"),
    ],
)
def test_what_comes_into_a_path_stays_within_its_place(
    api: Api, service: HttpService, value: Any, path: str
) -> None:
    api.call(make_call(input={"id": value}), path="/x/{input.id}/y")

    assert service.requests[0].path == path


@pytest.mark.parametrize(
    ("id", "action", "words"),
    [
        ("..", {}, "actions.charge.path: a value makes it '/x/..', which leads elsewhere"),
        (".", {}, "which leads elsewhere"),
        ("../admin", {}, "which leads elsewhere"),
        ("a/../../admin", {}, "which leads elsewhere"),
        ("..\\admin", {}, "which leads elsewhere"),
        ("", {}, "the expression 'input.id' gives nothing"),
        (None, {}, "the expression 'input.id' gives nothing"),
        ("a\nb", {}, "gives a text over several lines"),
        ("a\r\nX: y", {"path": "/x", "headers": {"A": "{input.id}"}}, "charge.headers.A: the exp"),
        ({"a": 1}, {}, "gives an object; it takes a text, a number, true or false"),
        ([1], {}, "gives a list"),
        ({"a": 1}, {"path": "/x", "form": {"f": "input.id"}}, "charge.form: the expression 'f' g"),
        ("a", {"path": "/x", "form": "input.id"}, "actions.charge.form: gives no object"),
        ({"a": 1}, {"path": "/x", "query": {"q": "input.id"}}, "actions.charge.query.q: the exp"),
        (1, {"path": "/x", "json": {"j": {"k": "length(input.id)"}}}, "actions.charge.json.j.k: T"),
    ],
)
def test_what_cannot_be_mapped_fails_for_good_and_nothing_is_sent(
    api: Api, service: HttpService, id: Any, action: dict[str, Any], words: str
) -> None:
    answer = api.call(make_call(input={"id": id}), **({"path": "/x/{input.id}"} | action))

    assert service.requests == []
    assert (answer.outcome, answer.in_doubt) == ("failed", False)
    assert answer.error["class"] == "MappingFailed"
    assert answer.error["retryable"] is False
    assert words in answer.error["message"]


def test_a_path_that_leaves_what_is_allowed_is_never_called(
    api: Api, service: HttpService, settings: Any
) -> None:
    settings.SAGAS_ALLOWED_ADDRESSES = [f"{service.address}/v1"]

    answer = api.call(path="/v2/charge")

    assert service.requests == []
    assert answer.error["class"] == "AddressNotAllowed"


RULES = [
    {"status": "2xx", "when": "body.status == 'pending'", "outcome": "accepted"},
    {"status": 200, "when": "body.status == 'declined'", "outcome": "refused"},
    {"status": 409, "when": "body.code == 'lock_timeout'", "outcome": "retry"},
    {"status": [409, "460-469"], "outcome": "refused"},
    {"status": 404, "outcome": "succeeded"},
    {"status": 402, "outcome": "retry", "in_doubt": True},
    {"status": 500, "outcome": "unknown"},
    {"when": "headers.\"x-state\" == 'busy'", "outcome": "retry", "in_doubt": False},
]


@pytest.mark.parametrize(
    ("reply", "outcome", "retryable", "in_doubt"),
    [
        (Reply(201, {"status": "pending"}), "accepted", None, False),
        (Reply(200, {"status": "declined"}), "failed", False, False),
        (Reply(201, {"status": "declined"}), "succeeded", None, False),
        (Reply(409, {"code": "lock_timeout"}), "failed", True, False),
        (Reply(409, {"code": "other"}), "failed", False, False),
        (Reply(465, b"<html>"), "failed", False, False),
        (Reply(404, {}), "succeeded", None, False),
        (Reply(402, {}), "failed", True, True),
        (Reply(500, {}), "unknown", True, False),
        (Reply(400, {}, {"X-State": "busy"}), "failed", True, False),
        # By the defaults, as our own protocol has them.
        (Reply(400, {}), "failed", False, False),
        (Reply(502, {}), "failed", True, True),
        (Reply(503, {}), "failed", True, False),
        (Reply(429, {}), "failed", True, False),
        (Reply(202, {}), "accepted", None, False),
        (Reply(204, b""), "succeeded", None, False),
        (LOST, "unknown", True, False),
    ],
)
def test_the_first_result_that_fits_counts(
    api: Api,
    service: HttpService,
    reply: Reply,
    outcome: str,
    retryable: bool | None,
    in_doubt: bool,
) -> None:
    service.plays("charge", reply)

    answer = api.call(results=RULES)

    assert (answer.outcome, answer.in_doubt) == (outcome, in_doubt)
    assert answer.error.get("retryable") is retryable


def test_a_pause_that_the_api_asks_for_is_kept(api: Api, service: HttpService) -> None:
    service.plays("charge", Reply(409, {}, {"Retry-After": "7"}))

    assert api.call(results=[{"status": 409, "outcome": "retry"}]).retry_after_s == 7


@pytest.mark.parametrize(
    ("error", "body", "said"),
    [
        ("body.detail", {"detail": "No money."}, ("HTTP400", "No money.")),
        (
            "{code: body.kind, message: body.text}",
            {"kind": "card_declined", "text": "Declined."},
            ("card_declined", "Declined."),
        ),
        ("body.reasons", {"reasons": ["a", "b"]}, ("HTTP400", '["a", "b"]')),
        ("body.none", {"error": {"message": "Usual."}}, ("HTTP400", "Usual.")),
        ("length(body.none)", {"message": "Usual."}, ("HTTP400", "Usual.")),
    ],
)
def test_an_errors_words_are_taken_from_where_the_description_says(
    api: Api, service: HttpService, error: str, body: Any, said: tuple[str, str]
) -> None:
    service.plays("charge", Reply(400, body))

    answer = api.call(error=error)

    assert (answer.error["class"], answer.error["message"]) == said


def test_a_large_answer_may_give_a_small_output(api: Api, service: HttpService) -> None:
    service.plays("charge", Reply(200, {"id": 7, "rest": "x" * 100_000}))

    assert api.call(output="body.id") == Answer("succeeded", output=7)


@pytest.mark.parametrize(
    ("body", "action", "words"),
    [
        (b"<html>", {}, "Its answer is no JSON."),
        (b'{"a": "' + b"x" * 70_000 + b'"}', {}, "65,536 are allowed"),
        (b'{"a": "' + b"x" * 1_100_000 + b'"}', {"output": "body.a"}, "1,048,576 bytes"),
        (b'{"a": 1}', {"output": "length(body.a)"}, "length(body.a)"),
        (b'{"a": 1}', {"results": [{"when": "length(body.a)", "outcome": "retry"}]}, "length(bod"),
    ],
)
def test_a_success_whose_words_cannot_be_kept_is_in_doubt(
    api: Api, service: HttpService, body: bytes, action: dict[str, Any], words: str
) -> None:
    service.plays("charge", Reply(200, body))

    answer = api.call(**action)

    assert (answer.outcome, answer.in_doubt) == ("failed", True)
    assert answer.error["class"] == "InvalidAnswer"
    assert words in answer.error["message"]


def test_an_answer_that_is_no_json_may_be_kept_by_its_output(
    api: Api, service: HttpService
) -> None:
    service.plays("charge", Reply(200, b"OK 17"))

    assert api.call(output="body").output == "OK 17"


WITH_SECRET = {"Authorization": "Bearer ${env:SAGADESK_PARTICIPANT_SECRET_PAYMENT__KEY}"}


@pytest.mark.parametrize("secret", ["", "sk\nX: y", "비밀"])
def test_a_secret_that_cannot_be_sent_is_named_and_not_shown(
    api: Api, service: HttpService, settings: Any, secret: str
) -> None:
    settings.SAGAS_SECRETS = {SECRET: secret}

    answer = api.call(headers=WITH_SECRET)

    assert service.requests == []
    assert f"the variable {SECRET}" in answer.error["message"]
    assert not secret or secret not in answer.error["message"]


@pytest.mark.parametrize(
    ("reply", "action"),
    [
        (Reply(400, {"error": 'You sent "sk_te\\st"'}), {}),
        (Reply(400, b"You sent Bearer sk_te\\st"), {}),
        (Reply(200, {"you": {"sent": "sk_te\\st"}}), {}),
        (Reply(200, {}, {"X-Echo": "sk_te\\st"}), {"output": "headers"}),
    ],
)
def test_an_api_that_repeats_our_secret_brings_it_nowhere(
    api: Api, service: HttpService, settings: Any, reply: Reply, action: dict[str, Any]
) -> None:
    settings.SAGAS_SECRETS = {SECRET: "sk_te\\st"}
    service.plays("charge", reply)

    answer = api.call(headers=WITH_SECRET, **action)

    assert service.requests[0].headers["Authorization"] == "Bearer sk_te\\st"
    assert "[secret]" in str(answer)
    assert "sk_te" not in str(answer)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(200, {"id": "ch_1"}), "succeeded"),
        (Reply(404, {}), "absent"),
        (Reply(410, {}), "absent"),
        (Reply(500, {}), "unknown"),
        (Reply(401, {}), "unknown"),
        (Reply(302, {}), "unknown"),
        (LOST, "unknown"),
    ],
)
def test_a_probe_says_whether_a_call_took_effect(
    api: Api, service: HttpService, reply: Reply, outcome: str
) -> None:
    service.plays("found", reply)

    answer = api.probe(query={"key": "idempotency_key"})

    assert answer.outcome == outcome
    assert answer.output == ("ch_1" if outcome == "succeeded" else None)
    assert service.requests[0].method == "GET"
    assert service.requests[0].path == f"/found?key={SAGA}%2FPay%2Fdo"


def test_a_probes_own_results_count_first(api: Api, service: HttpService) -> None:
    results = [
        {"when": "body.items == `[]`", "outcome": "absent"},
        {"when": "body.items[0].state == 'failed'", "outcome": "refused"},
    ]
    service.plays(
        "found",
        Reply(200, {"items": []}),
        Reply(200, {"items": [{"state": "failed"}]}),
        Reply(200, {"items": [{"id": 7}]}),
    )

    answers = [api.probe(results=results, output="body.items[0].id") for _ in range(3)]

    assert [answer.outcome for answer in answers] == ["absent", "failed", "succeeded"]
    assert answers[2].output == 7


def test_a_probe_that_cannot_be_made_or_read_is_unknown(
    api: Api, service: HttpService, client: HttpClient
) -> None:
    assert api.probe(path="/x/{input.none}").outcome == "unknown"
    assert api.probe(output="length(status)").outcome == "unknown"
    assert Api(client, refused_address()).probe(path="/x").outcome == "unknown"
    assert Api(client, "http://elsewhere.test").probe(path="/x").outcome == "unknown"
