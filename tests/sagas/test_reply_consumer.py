"""Replies on a stream: taken once they are committed, claimed from the dead, never in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError
from psycopg.errors import AdminShutdown, DeadlockDetected

from dlq.models import DeadLetter
from sagas import reply_consumer
from sagas.engine.driver import Driver
from sagas.models import Saga
from sagas.reply_consumer import GROUP, ReplyConsumer, take_replies
from tests.builders import journal_of, make_saga, make_step, store
from tests.sagas.messages import commands_of, reach_by_messages, reply_to

pytestmark = pytest.mark.django_db

STREAM = "sagadesk:replies"


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    server = redis.Redis.from_url(settings.REDIS_URL)
    server.delete(STREAM)
    yield server
    server.delete(STREAM)


@pytest.fixture
def saga(driver: Driver, server: redis.Redis) -> Saga:
    """A saga that waits for the reply to its first command."""
    reach_by_messages("Service")
    saga = make_saga(store(make_step("A"), make_step("B")))
    driver.drive()
    return saga


def send(server: redis.Redis, reply: Any, **fields: str) -> None:
    server.xadd(STREAM, {"data": json.dumps(reply), **fields})


def drain() -> int:
    return ReplyConsumer().drain(budget_s=5)


def left(server: redis.Redis) -> tuple[int, int]:
    """Return how many entries are on the stream, and how many are read but not acknowledged."""
    return server.xlen(STREAM), server.xpending(STREAM, GROUP)["pending"]


def test_a_reply_on_the_stream_is_recorded_and_dropped(server: redis.Redis, saga: Saga) -> None:
    send(server, reply_to(commands_of(saga)[0]))

    assert drain() == 1

    assert journal_of(saga) == ["step_waiting A", "step_succeeded A"]
    assert left(server) == (0, 0)


def test_an_empty_stream_is_no_trouble(server: redis.Redis) -> None:
    assert take_replies() == 0


def test_a_repeated_reply_is_recorded_once(server: redis.Redis, saga: Saga) -> None:
    """Edge case 8."""
    for _ in range(2):
        send(server, reply_to(commands_of(saga)[0]))

    assert drain() == 2

    assert journal_of(saga) == ["step_waiting A", "step_succeeded A"]
    assert not DeadLetter.objects.exists()


def test_an_entry_taken_twice_is_recorded_once_without_a_message_id(
    server: redis.Redis, saga: Saga
) -> None:
    reply = reply_to(commands_of(saga)[0])
    del reply["message_id"]
    fields = {b"data": json.dumps(reply).encode()}

    first = reply_consumer.take_entry(f"{STREAM}/1-1", fields)
    second = reply_consumer.take_entry(f"{STREAM}/1-1", fields)

    assert (first, second) == ("recorded", "repeated")


def test_the_id_of_a_cloud_event_is_the_replys_own(server: redis.Redis, saga: Saga) -> None:
    reply = reply_to(commands_of(saga)[0])
    del reply["message_id"]
    for _ in range(2):
        send(server, reply, id="event-7")

    drain()

    assert journal_of(saga) == ["step_waiting A", "step_succeeded A"]


@pytest.mark.parametrize(
    "fields",
    [
        {"data": "{"},
        {"data": b"\xff\x00"},
        {"nothing": "here"},
        {"data": "[" * 100_000},
        {"data": '"text"'},
        {"data": '{"message_id": "m", "correlation_id": 7, "outcome": "succeeded"}'},
        {"data": '{"message_id": "\\u0000", "correlation_id": "x/y/do", "outcome": "succeeded"}'},
        {"data": '{"message_id": "m", "correlation_id": "x/y/do", "outcome": NaN}'},
    ],
)
def test_poison_becomes_a_dead_letter_and_holds_up_nobody(
    server: redis.Redis, saga: Saga, fields: dict[str, Any]
) -> None:
    """Edge case 17."""
    server.xadd(STREAM, {"source": "kitchen", **fields})
    send(server, reply_to(commands_of(saga)[0]))

    drain()

    assert journal_of(saga) == ["step_waiting A", "step_succeeded A"]
    assert DeadLetter.objects.get().destination == "kitchen"
    assert left(server) == (0, 0)


def test_a_reply_to_an_unknown_saga_becomes_a_dead_letter(server: redis.Redis) -> None:
    """Edge case 11."""
    correlation = "01990000-0000-7000-8000-000000000000/A/do"
    send(server, {"message_id": "m", "correlation_id": correlation, "outcome": "succeeded"})

    drain()

    assert DeadLetter.objects.get().reason == DeadLetter.Reason.UNKNOWN_SAGA


def test_an_unforeseen_error_buries_its_reply_only(
    server: redis.Redis, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_reply = reply_consumer.take_reply

    def fail_once(*args: Any, **options: Any) -> str:
        monkeypatch.setattr(reply_consumer, "take_reply", take_reply)
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(reply_consumer, "take_reply", fail_once)
    send(server, {"message_id": "first"})
    send(server, reply_to(commands_of(saga)[0]))

    drain()

    assert DeadLetter.objects.get().error_class == "ZeroDivisionError"
    assert journal_of(saga) == ["step_waiting A", "step_succeeded A"]


def test_what_a_dead_consumer_had_read_is_claimed(
    server: redis.Redis, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain()
    send(server, reply_to(commands_of(saga)[0]))
    server.xreadgroup(GROUP, "dead:1", {STREAM: ">"})
    monkeypatch.setattr(reply_consumer, "CLAIM_AFTER_S", 0.0)

    assert drain() == 1

    assert journal_of(saga) == ["step_waiting A", "step_succeeded A"]
    assert left(server) == (0, 0)


def test_what_a_living_consumer_has_read_is_left_to_it(server: redis.Redis, saga: Saga) -> None:
    drain()
    send(server, reply_to(commands_of(saga)[0]))
    server.xreadgroup(GROUP, "alive:1", {STREAM: ">"})

    assert drain() == 0
    assert left(server) == (1, 1)


def test_consumers_that_are_gone_are_forgotten(
    server: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain()
    server.xgroup_createconsumer(STREAM, GROUP, "dead:1")
    monkeypatch.setattr(reply_consumer, "FORGET_AFTER_S", -1.0)

    drain()

    assert b"dead:1" not in [c["name"] for c in server.xinfo_consumers(STREAM, GROUP)]


@pytest.mark.parametrize("error", [OperationalError, AdminShutdown, DeadlockDetected])
def test_a_reply_is_not_dropped_before_it_is_committed(
    server: redis.Redis, saga: Saga, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Edge case 32: the database goes away between the first and the second of a batch.

    Whether Django's cursors tell of it, or psycopg's own, which record the reply.
    """
    take_reply, taken = reply_consumer.take_reply, []

    def take_one(*args: Any, **options: Any) -> str:
        if taken:
            raise error("the database is restarting")
        taken.append(take_reply(*args, **options))
        return taken[0]

    monkeypatch.setattr(reply_consumer, "take_reply", take_one)
    for number in range(3):
        send(server, {"message_id": str(number)})

    with pytest.raises(error):
        drain()

    assert left(server) == (2, 2)
    assert not DeadLetter.objects.filter(error_class=error.__name__).exists()


def test_a_consumer_comes_back_after_redis_and_database_were_away(
    server: redis.Redis, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer, troubles = ReplyConsumer(), [redis.ConnectionError("gone"), OperationalError("gone")]
    read = consumer._read

    def read_after_troubles(wait_s: float) -> Any:
        if troubles:
            raise troubles.pop()
        return read(wait_s)

    monkeypatch.setattr(consumer, "_read", read_after_troubles)
    monkeypatch.setattr(reply_consumer, "REST_S", 0.0)
    monkeypatch.setattr(reply_consumer, "close_old_connections", lambda: None)
    send(server, reply_to(commands_of(saga)[0]))
    rounds = iter([True, True, True, False])

    consumer.run(lambda: next(rounds), wait_s=0)

    assert journal_of(saga) == ["step_waiting A", "step_succeeded A"]


def test_the_group_is_made_anew_after_redis_lost_it(server: redis.Redis, saga: Saga) -> None:
    """Edge case 34."""
    consumer = ReplyConsumer()
    consumer.drain(budget_s=1)
    server.delete(STREAM)
    send(server, reply_to(commands_of(saga)[0]))

    assert consumer.drain(budget_s=1) == 1


def test_without_a_stream_nothing_is_read(settings: Any, server: redis.Redis) -> None:
    settings.SAGAS_REPLIES_STREAM = ""

    assert take_replies() == 0
    with pytest.raises(CommandError, match="SAGADESK_REPLIES_STREAM"):
        call_command("saga", "consume-replies")
    assert not server.exists(STREAM)


def test_the_command_takes_replies_for_a_while(server: redis.Redis, saga: Saga) -> None:
    send(server, reply_to(commands_of(saga)[0]))

    call_command("saga", "consume-replies", "--seconds", "0.01")

    assert journal_of(saga) == ["step_waiting A", "step_succeeded A"]
