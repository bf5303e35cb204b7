"""What the engine says in English is marked for translation, found again, and shown in Korean."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.utils.translation import override

import dlq.reprocessing
import sagas.locks
import sagas.replies
import sagas.retention.rules
import sagas.signals
import sagas.verbs
from dlq.models import DeadLetter
from dlq.sentences import FAILURES
from outbox.sentences import speak
from sagas.console.sentences import (
    MESSAGES,
    NOTES,
    REFUSALS,
    REPLIES,
    RETENTION,
    SCHEDULES,
    SIGNALS,
)
from sagas.console.translating import translate_failure, translate_refusal
from sagas.core import children as core_children
from sagas.core import consequences, deadlocks, decide, locking, orders, planning, verbs
from sagas.core.definition import Step, StepType
from sagas.core.journal import Entry, Kind
from sagas.engine import children
from sagas.replies import take_reply
from sagas.scheduling import keeping, plans
from sagas.storable import NotStorableError, encode_storable
from tests.builders import make_definition, make_step
from tests.console.builders import AT, make_saga, words, write_saga


@pytest.fixture(autouse=True)
def _leave_the_language_as_it_was() -> Iterator[None]:
    with override("en"):
        yield


def said_by(function: Callable[..., Any]) -> Iterator[str]:
    """Return the sentences that a function returns, with %(status)s for what it puts in."""
    for node in ast.walk(ast.parse(inspect.getsource(function))):
        if not isinstance(node, ast.Return) or node.value is None:
            continue
        value = node.value.body if isinstance(node.value, ast.IfExp) else node.value
        if isinstance(value, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "%(status)s"
                for part in value.values
            )
        elif isinstance(value, ast.Constant) and value.value:
            yield str(value.value)


def sentences_in(*modules: Any) -> set[str]:
    """Return the sentences that modules say, with {} for what they put in."""
    said = set()
    for module in modules:
        tree = ast.parse(inspect.getsource(module))
        silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                silent |= {id(part) for part in node.values}
                text = "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "{}"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if id(node) not in silent and re.match(r"\S+ .*(\.|\. {})$", text):
                said.add(text)
    return said


def marked(sentences: Iterable[str]) -> set[str]:
    return {re.sub(r"%\(\w+\)s", "{}", sentence) for sentence in sentences}


def test_every_refusal_is_marked_for_translation() -> None:
    assert sentences_in(verbs, sagas.verbs, sagas.locks) == marked(REFUSALS)


def test_every_note_of_a_plan_is_marked_for_translation() -> None:
    speakers = (planning._awaited, planning._wait_for, planning._condition, planning._lock)
    said = [note for speaker in (*speakers, planning._history) for note in said_by(speaker)]

    assert marked(said) == marked(NOTES)


def test_every_message_of_the_core_is_marked_for_translation() -> None:
    said = sentences_in(decide, consequences, orders, core_children, children, locking, deadlocks)

    # What the saga that was started says of itself may be missing.
    assert said | {"The saga that it had started is {}."} == marked(MESSAGES)


@pytest.mark.parametrize(
    ("modules", "sentences"),
    [
        ([sagas.signals], SIGNALS),
        ([sagas.retention.rules], RETENTION),
        ([dlq.reprocessing], FAILURES),
        ([keeping, plans], SCHEDULES),
        ([sagas.replies], REPLIES),
    ],
)
def test_every_sentence_beside_the_core_is_marked_for_translation(
    modules: list[Any], sentences: tuple[str, ...]
) -> None:
    said = sentences_in(*modules)

    assert said
    # The shape of a place in braces is quoted with doubled braces where it is said.
    assert {text.replace("{{", "{") for text in said} <= marked(sentences)


@pytest.mark.parametrize(
    "said",
    [
        "There is no definition shop version 3. Load it with: manage.py saga load FILE",
        "business_key must be a text of 1 to 200 characters.",
        "K-1: the input has 2,000,001 bytes; 1,000,000 are allowed.",
        "'* * *' is no crontab: too short",
        "every: 15 has no unit; write for example 15s.",
    ],
)
def test_why_a_schedule_starts_nothing_is_told_in_korean(said: str) -> None:
    with override("ko"):
        assert not re.search(r"There|must|the input|is no|every", speak(said))


@pytest.mark.parametrize("value", [{1}, "x" * 100, "\x00"])
def test_what_cannot_be_stored_is_told_in_korean(value: Any) -> None:
    with pytest.raises(NotStorableError) as refusal:
        encode_storable(value, limit=50)

    with override("ko"):
        shown = translate_refusal(f"data {refusal.value}.")

    assert shown.startswith("데이터 오류: ")
    assert not re.search(r"\b(is no|bytes|holds)\b", shown)


def test_what_a_participant_said_is_not_taken_for_a_sentence_of_ours() -> None:
    for said in ("The house has no step left.", "output is full.", "data has gone."):
        with override("ko"):
            assert speak(said) == said


def test_message_of_the_engine_is_translated() -> None:
    error = {"class": "SagaTimeout", "message": "The saga did not end within its 1.5 s."}

    with override("ko"):
        assert (
            translate_failure(error)["message"] == "사가가 제한 시간 1.5초 안에 끝나지 않았습니다."
        )


def test_what_a_message_quotes_is_translated_too() -> None:
    message = "The saga that it had started is compensated. An operator cancelled the saga."

    with override("ko"):
        assert translate_failure({"message": message})["message"] == (
            "시작한 사가가 보상 완료 상태입니다. 운영자가 사가를 취소했습니다."
        )


@pytest.mark.parametrize("path", ["/", "/sagas/"])
def test_message_of_the_engine_is_translated_in_lists(reader: Client, path: str) -> None:
    make_saga("failed", error_message="An operator cancelled the saga.")

    assert "운영자가 사가를 취소했습니다." in words(reader.get(path))


def test_message_of_a_participant_is_left_as_it_is() -> None:
    error = {"class": "HTTP503", "message": "The pump did not answer within 5 s."}

    with override("ko"):
        shown = translate_failure(error)

    assert shown == error


# On pages


@pytest.mark.parametrize(
    "payload",
    [
        "text",
        {"message_id": "m1", "outcome": "maybe"},
        {"message_id": "m1", "outcome": "failed", "correlation_id": "nonsense"},
        {"message_id": "m1", "outcome": "failed", "correlation_id": f"{UUID(int=0)}/A/do"},
        {"message_id": "m1", "outcome": "failed", "correlation_id": "SAGA/C/do"},
        {"message_id": "m1", "outcome": "failed", "correlation_id": "SAGA/A/do"},
        {"message_id": "m1", "outcome": "failed", "correlation_id": "SAGA/A/do", "attempt": 9},
    ],
)
def test_dead_reply_says_why_in_korean(reader: Client, payload: Any) -> None:
    saga = make_saga("completed")
    if isinstance(payload, dict):
        where = payload.get("correlation_id", "").replace("SAGA", str(saga.pk))
        payload = payload | {"correlation_id": where}
    assert take_reply(payload, participant="Service") == "buried"
    letter = DeadLetter.objects.get()
    sentence = letter.error_message

    for path in ("/", "/letters/", "/letters/all/", f"/letters/{letter.pk}/"):
        assert sentence not in words(reader.get(path)), path


def test_refused_signal_says_why_in_korean(reader: Client) -> None:
    wait = Step("Wait", "", "signal", type=StepType.SIGNAL, signal="go")
    saga = write_saga(make_definition(make_step(), wait), [Entry(Kind.SAGA_STARTED, AT)])
    for n in range(sagas.signals.MAX_UNTAKEN):
        sagas.signals.send_signal(saga.pk, "go", n, message_id=f"m{n}")

    sent = {"name": "go", "payload": "", "message_id": "one too many"}
    response = reader.post(f"/sagas/{saga.pk}/signal/", sent)

    assert response.status_code == 409
    assert "아직 단계가 가져가지 않은 신호가 이미 100개 있습니다." in words(response)


def test_a_start_at_a_time_is_told_in_korean(reader: Client) -> None:
    scheduled = Entry(Kind.SAGA_SCHEDULED, AT, None, {"starts_at": AT + 7_200})
    saga = write_saga(make_definition(), [scheduled, Entry(Kind.SAGA_STARTED, AT + 7_201)])

    page = words(reader.get(f"/sagas/{saga.pk}/"))

    assert "사가 시작 예약" in page
    assert "2시간 후 시작 예정" in page
    assert "starts_at" not in page


def test_refused_schedule_says_why_in_korean(reader: Client) -> None:
    make_saga("completed")
    given = {"name": "n", "definition": "test", "business_key": "k", "cron": "* *", "make_up": "0"}
    given |= {"input": "{}", "timezone": "UTC", "reason": "r", "request_id": "1"}

    response = reader.post("/schedules/set/", given)

    assert response.status_code == 400
    assert "crontab은 분, 시, 일, 월, 요일의 다섯 항목으로 이루어집니다." in words(response)
