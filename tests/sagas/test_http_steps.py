"""HTTP participants against a real service: what is sent, and what every kind of answer means."""

from __future__ import annotations

import contextlib
import socket
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from sagas.core.definition import Definition
from sagas.core.state import Direction
from sagas.engine.driver import Driver
from sagas.exceptions import AddressNotAllowed
from sagas.models import Participant, Saga
from sagas.participants.answers import read_answer
from sagas.participants.calls import Call
from sagas.participants.directory import pause_participant, resume_participant
from sagas.participants.http import HttpClient, check_address
from sagas.starting import start
from tests.builders import (
    QUICK,
    Script,
    journal_of,
    let_pass,
    make_participant,
    make_saga,
    make_step,
    store,
)
from tests.sagas.http_service import LOST, Got, HttpService, Reply, refused_address

pytestmark = pytest.mark.django_db

NO = Reply(409, {"error": {"code": "sold_out", "message": "Nothing left."}})
BUSY = Reply(503, {})


@pytest.fixture
def definition(service: HttpService) -> Definition:
    """Two steps at the service; each is tried three times."""
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    return store(make_step("A", retry=QUICK), make_step("B", retry=QUICK))


def drive(driver: Driver, saga: Saga, times: int = 1) -> Saga:
    """Drive so many times, each time after any pause between attempts."""
    for number in range(times):
        if number:
            let_pass(saga, 1)
        driver.drive()
    saga.refresh_from_db()
    return saga


def test_steps_are_called_one_after_the_other(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    saga = drive(driver, make_saga(definition))

    assert saga.status == "completed"
    assert service.actions == ["doA", "doB"]
    assert journal_of(saga) == [
        "step_sent A",
        "step_succeeded A",
        "step_sent B",
        "step_succeeded B",
        "saga_completed",
    ]


def test_a_call_tells_the_participant_everything_it_needs(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    saga_id = start(definition.name, {"seats": 2}, business_key="주문-1", traceparent=trace).saga_id

    driver.drive()

    got = service.requests[1]
    assert got.headers["traceparent"] == trace
    assert got.key == f"{saga_id}/B/do"
    assert got.headers["Sagadesk-Deadline"].startswith("20")
    assert got.body == {
        "saga_id": str(saga_id),
        "business_key": "주문-1",
        "definition": "test",
        "step": "B",
        "action": "doB",
        "direction": "forward",
        "attempt": 1,
        "input": {"seats": 2},
        "outputs": {"A": {"did": "doA"}},
    }


def test_a_no_undoes_what_was_done(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("doB", NO)

    saga = drive(driver, make_saga(definition))

    assert saga.status == "compensated"
    assert saga.state["cause"] == {"step": "B", "class": "HTTP409", "message": "Nothing left."}
    assert service.keys == ["A/do", "B/do", "A/undo"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_a_passing_failure_is_tried_again_with_the_same_key(
    driver: Driver, service: HttpService, definition: Definition, status: int
) -> None:
    service.plays("doA", Reply(status, {}))

    saga = drive(driver, make_saga(definition), times=2)

    assert saga.status == "completed"
    assert service.keys == ["A/do", "A/do", "B/do"]
    assert [got.body["attempt"] for got in service.requests] == [1, 2, 1]


def test_retry_after_is_obeyed(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("doA", Reply(503, {}, {"Retry-After": "100"}))
    saga = make_saga(definition)
    driver.drive()

    let_pass(saga, 95)
    driver.drive()
    assert service.actions == ["doA"]
    let_pass(saga, 6)
    driver.drive()

    assert service.actions == ["doA", "doA", "doB"]


def test_a_lost_answer_leaves_the_outcome_unknown_and_is_repeated(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    """Edge case 1."""
    service.plays("doA", LOST)
    saga = make_saga(definition)

    driver.drive()
    assert journal_of(saga) == ["step_sent A", "step_unknown A"]
    drive(driver, saga, times=2)

    assert saga.status == "completed"
    assert service.keys == ["A/do", "A/do", "B/do"]


def test_answers_that_all_get_lost_end_in_an_undo_of_the_step(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    """Edge case 1."""
    service.plays("doB", LOST, LOST, LOST)

    saga = drive(driver, make_saga(definition), times=3)

    assert saga.status == "compensated"
    assert service.keys == ["A/do", "B/do", "B/do", "B/do", "B/undo", "A/undo"]


def test_an_answer_that_takes_too_long_is_unknown(driver: Driver, service: HttpService) -> None:
    """Edge case 3."""
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    definition = store(make_step("A", timeout_s=0.1))
    given_up = threading.Event()

    def answer_too_late(got: Got) -> Reply:
        given_up.wait(10)
        return LOST

    service.plays("doA", answer_too_late)
    saga = make_saga(definition)
    driver.drive()
    given_up.set()

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert saga.state["cause"]["class"] == "ReadTimeoutError"
    assert service.keys == ["A/do", "A/undo"]


def test_a_refused_connection_was_never_sent(driver: Driver, definition: Definition) -> None:
    Participant.objects.update(address=refused_address())

    saga = drive(driver, make_saga(definition), times=3)

    assert saga.status == "compensated"
    assert saga.state["cause"]["class"] == "NewConnectionError"
    assert not any("undo" in kind for kind in journal_of(saga))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "Expecting value"),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "65,536 are allowed"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a": NaN}', "JSON"),
        (b'"\\ud800"', "JSON"),
        (b"[" * 60_000, "recursion"),
    ],
)
def test_an_answer_that_cannot_be_kept_fails_the_step_and_its_effect_is_undone(
    driver: Driver, service: HttpService, definition: Definition, body: bytes, words: str
) -> None:
    """Edge cases 17 and 36."""
    service.plays("doA", Reply(200, body))

    saga = drive(driver, make_saga(definition))

    assert saga.status == "compensated"
    assert saga.state["cause"]["class"] == "InvalidAnswer"
    assert words in saga.state["cause"]["message"]
    assert service.keys == ["A/do", "A/undo"]


def test_an_empty_answer_is_a_success(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("doA", Reply(204, b""))

    assert drive(driver, make_saga(definition)).status == "completed"


def test_a_redirect_is_not_followed(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("doA", Reply(307, {}, {"Location": f"{service.address}/elsewhere"}))

    saga = drive(driver, make_saga(definition))

    assert saga.state["cause"]["class"] == "HTTP307"
    assert service.actions == ["doA"]


def test_an_accepted_command_waits_for_its_reply(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    service.plays("doA", Reply(202, {}))

    saga = drive(driver, make_saga(definition))

    assert saga.status == "running"
    assert saga.state["steps"][0]["status"] == "waiting"
    assert service.actions == ["doA"]


def test_a_reply_that_does_not_come_is_unknown_after_the_timeout(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    """Edge case 3."""
    service.plays("doA", Reply(202, {}))
    saga = drive(driver, make_saga(definition))

    let_pass(saga, 31)
    drive(driver, saga, times=2)

    assert "step_unknown A" in journal_of(saga)
    assert saga.status == "completed"
    assert service.keys == ["A/do", "A/do", "B/do"]


def test_an_undo_whose_reply_never_comes_fails_the_saga_at_last(
    driver: Driver, service: HttpService, definition: Definition
) -> None:
    """Edge case 18."""
    service.plays("doB", NO).plays("undoA", *[Reply(202, {})] * 3)
    saga = drive(driver, make_saga(definition))

    for _ in range(6):
        let_pass(saga, 31)
        driver.drive()

    saga.refresh_from_db()
    assert (saga.status, saga.failed_step) == ("failed", "A")
    assert service.keys[2:] == ["A/undo"] * 3


def test_an_address_that_is_not_allowed_is_never_called(
    driver: Driver, service: HttpService, definition: Definition, settings: Any
) -> None:
    settings.SAGAS_ALLOWED_ADDRESSES = ["http://payments.internal"]

    saga = drive(driver, make_saga(definition))

    assert service.requests == []
    assert saga.state["cause"]["class"] == "AddressNotAllowed"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("http://pay.test/v1/charge", True),
        ("http://pay.test:8080/v1/charge", True),
        ("http://PAY.test/v1", True),
        ("https://pay.test/v1/charge", False),
        ("http://pay.test/v2", False),
        ("http://pay.test/v10", False),
        ("http://pay.test/v1/../admin", False),
        ("http://pay.test@evil.test/v1/", False),
        ("http://pay.test.evil.test/v1/", False),
        ("http://127.0.0.1/v1", False),
    ],
)
def test_an_address_is_allowed_by_its_beginning(settings: Any, address: str, allowed: bool) -> None:
    settings.SAGAS_ALLOWED_ADDRESSES = ["http://pay.test/v1"]

    if allowed:
        check_address(address)
    else:
        with pytest.raises(AddressNotAllowed):
            check_address(address)


def test_an_allowed_port_is_that_port_only(settings: Any) -> None:
    settings.SAGAS_ALLOWED_ADDRESSES = ["http://pay.test:8080"]

    check_address("http://pay.test:8080/charge")
    with pytest.raises(AddressNotAllowed):
        check_address("http://pay.test:9090/charge")


def test_calls_of_many_sagas_are_in_the_air_at_once_but_not_more_than_allowed(
    service: HttpService, definition: Definition
) -> None:
    together = threading.Barrier(3)
    flying: set[str] = set()
    most: list[int] = []

    def meet(got: Got) -> Reply:
        flying.add(got.key)
        most.append(len(flying))
        together.wait(10)
        flying.discard(got.key)
        return Reply(body={})

    service.plays("doA", *[meet] * 6)
    sagas = [make_saga(definition, key=f"order-{number}") for number in range(6)]
    driver = Driver(concurrency=3)

    driver.drive()
    driver.close()

    assert max(most) == 3
    assert {drive(driver, saga, times=0).status for saga in sagas} == {"completed"}


def test_a_slow_participant_does_not_hold_up_the_others(
    driver: Driver, service: HttpService
) -> None:
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    slow = store(make_step("Slow"), name="slow")
    quick = store(make_step("A"), make_step("B"), make_step("C"), name="quick")
    others_are_done = threading.Event()

    def wait(got: Got) -> Reply:
        assert others_are_done.wait(10)
        return Reply(body={})

    def last(got: Got) -> Reply:
        others_are_done.set()
        return Reply(body={})

    service.plays("doSlow", wait).plays("doC", last)
    sagas = [make_saga(slow), make_saga(quick)]

    driver.drive()

    assert {drive(driver, saga, times=0).status for saga in sagas} == {"completed"}


def test_a_paused_participant_is_not_called(service: HttpService, definition: Definition) -> None:
    participant = Participant.objects.get()
    pause_participant(participant, actor=None, reason="maintenance")
    saga = make_saga(definition)
    Driver().drive()
    assert service.requests == []

    resume_participant(participant, actor=None)
    let_pass(saga, 6)
    driver = Driver()
    drive(driver, saga)
    driver.close()

    assert saga.status == "completed"


def test_local_and_http_steps_share_a_saga(driver: Driver, service: HttpService) -> None:
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    definition = store(
        make_step("A", participant="Here"), make_step("B"), make_step("C", participant="Here")
    )
    here = Script("Here").register(definition)
    service.plays("doB", NO)

    saga = drive(driver, make_saga(definition))

    assert saga.status == "compensated"
    assert here.actions == ["doA", "undoA"]


def test_a_call_that_cannot_even_be_made_is_unknown_and_nothing_hangs(
    driver: Driver, service: HttpService
) -> None:
    """Edge case 17: a header cannot hold this step's name."""
    make_participant(transport=Participant.Transport.HTTP, address=service.address)
    definition = store(make_step("A\nB"))

    saga = drive(driver, make_saga(definition))

    assert saga.state["cause"]["class"] == "ValueError"
    assert service.requests == []


@pytest.mark.parametrize(
    ("status", "outcome", "retryable", "in_doubt"),
    [
        (200, "succeeded", None, False),
        (201, "succeeded", None, False),
        (202, "accepted", None, False),
        (301, "failed", False, False),
        (400, "failed", False, False),
        (404, "failed", False, False),
        (408, "failed", True, True),
        (425, "failed", True, False),
        (429, "failed", True, False),
        (500, "failed", True, True),
        (503, "failed", True, False),
        (504, "failed", True, True),
    ],
)
def test_what_a_status_means(
    status: int, outcome: str, retryable: bool | None, in_doubt: bool
) -> None:
    answer = read_answer(status, b"", None)

    assert (answer.outcome, answer.in_doubt) == (outcome, in_doubt)
    assert answer.error.get("retryable") == retryable


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"code": "x", "message": "Why."}}', "Why."),
        (b'{"error": {"code": "x"}}', "x"),
        (b'{"error": "plain"}', "plain"),
        (b'["list"]', '["list"]'),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"", "HTTP status 400"),
    ],
)
def test_the_words_of_a_refusal_are_found(body: bytes, message: str) -> None:
    assert read_answer(400, body, None).error["message"] == message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("-3", 0.0), ("soon", None), ("", None), ("nan", 0.0)],
)
def test_retry_after_in_seconds(header: str, seconds: Any) -> None:
    assert read_answer(503, b"", header).retry_after_s == seconds


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Wed, 21 Oct 2015 07:27:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:29:00 GMT", 0.0),
        (None, None),
    ],
)
def test_retry_after_as_a_date_counts_from_the_date_of_the_answer(date: Any, seconds: Any) -> None:
    """Edge case 14: neither clock has to be right."""
    answer = read_answer(503, b"", "Wed, 21 Oct 2015 07:28:00 GMT", date=date)

    assert answer.retry_after_s == seconds


def test_an_answer_that_trickles_is_not_waited_for() -> None:
    over = threading.Event()

    def trickle(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
            while not over.wait(0.01):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        call = Call(
            saga_id=uuid.uuid4(),
            business_key="order-1",
            definition="test",
            step="A",
            action="doA",
            direction=Direction.FORWARD,
            attempt=1,
            idempotency_key="key",
            deadline=datetime.now(UTC),
            input={},
            outputs={},
        )
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = HttpClient(concurrency=1)
        answer = client.call(address, call, timeout_s=0.2)
        over.set()
        thread.join()
        client.close()

    assert answer.outcome == "unknown"
    assert "did not end in time" in answer.error["message"]
