from __future__ import annotations

import socket
from datetime import timedelta

import pytest
import redis
from django.db import connection
from django.utils import timezone

from outbox import breaker, dying
from outbox.delivering import deliver
from outbox.exceptions import Poison, Unavailable
from outbox.models import Delivery, Message, Receipt, Route
from outbox.relay import drain, relay_once
from outbox.relay_statements import Pending
from outbox.settling import delay_after
from tests.outbox.builders import (
    STREAM,
    end_waiting,
    make_route,
    numbers,
    publish_numbers,
    refuse,
    stream_entries,
)
from tests.outbox.fixtures import forget_processes_memory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lanes")]


class KeepsDead:
    """A keeper of dead letters that only remembers."""

    def __init__(self) -> None:
        self.buried: list[dying.DeadDelivery] = []

    def bury(self, dead):
        self.buried += dead
        return {}

    def recover(self, letter_ids) -> None:
        raise AssertionError("nothing has a letter here")


@pytest.fixture
def keeper(monkeypatch) -> KeepsDead:
    keeper = KeepsDead()
    monkeypatch.setattr(dying, "_keepers", [keeper])
    return keeper


def by_number() -> dict[int, str]:
    """Return the status of every delivery by its message's number."""
    deliveries = Delivery.objects.select_related("message")
    return {delivery.message.payload["n"]: delivery.status for delivery in deliveries}


def fail_for_good(transport, *numbers: int) -> None:
    transport.refuses = refuse(*numbers)
    for _ in range(20):
        end_waiting()
        drain()


def test_a_failed_message_blocks_its_key_and_nothing_else(transport):
    make_route()
    publish_numbers(1, 2, key="a")
    publish_numbers(3, 4, key="b")
    transport.refuses = refuse(1)

    drain()

    assert transport.payloads == numbers(3, 4)
    assert by_number() == {1: "waiting", 2: "parked"}


def test_what_comes_later_is_parked_behind_a_waiting_head(transport):
    make_route()
    publish_numbers(1, key="a")
    transport.refuses = refuse(1)
    drain()

    publish_numbers(2, key="a")
    drain()

    assert by_number() == {1: "waiting", 2: "parked"}


def test_a_key_goes_on_in_order_when_its_head_gets_through(transport):
    make_route()
    publish_numbers(1, 2, key="a")
    transport.refuses = refuse(1)
    drain()
    publish_numbers(3, key="a")
    drain()

    transport.refuses = refuse()
    end_waiting()
    publish_numbers(4, key="a")
    drain()

    assert transport.payloads == numbers(1, 2, 3, 4)
    assert not Delivery.objects.exists()


def test_other_routes_do_not_wait_for_the_one_that_fails(transport):
    make_route()
    make_route("second", transport=Route.Transport.CELERY_TASK, target="shop.on_event")
    publish_numbers(1, 2)
    transport.refuses = refuse(1)

    drain()

    assert set(Delivery.objects.values_list("route__name", flat=True)) == {"test"}


def test_a_failed_message_is_not_tried_before_its_time(transport):
    make_route()
    publish_numbers(1)
    transport.refuses = refuse(1)
    drain()
    transport.refuses = refuse()

    drain()

    delivery = Delivery.objects.get()
    assert transport.taken == []
    assert timedelta(0) < delivery.not_before - timezone.now() < timedelta(seconds=2)


def test_every_attempt_leaves_its_error(transport):
    make_route()
    publish_numbers(1)
    transport.refuses = refuse(1)

    drain()
    end_waiting()
    drain()

    delivery = Delivery.objects.get()
    assert delivery.attempts == 2
    assert [(e["error_class"], e["message"]) for e in delivery.errors] == [("ValueError", "no")] * 2
    assert all(error["at"].endswith("Z") for error in delivery.errors)


def test_an_error_text_that_no_database_takes_is_cleaned(transport):
    make_route()
    publish_numbers(1)
    text = "\x00 redis://user:secret@host \ud800" + "x" * 10_000
    transport.refuses = lambda message: ValueError(text)

    drain()

    [error] = Delivery.objects.get().errors
    assert error["message"].startswith("\N{REPLACEMENT CHARACTER} redis://user:***@host ?xxx")
    assert len(error["message"].encode()) == 8192


def test_the_wait_grows_and_has_a_limit():
    assert 0.5 <= delay_after(1) <= 1.5
    assert 4 <= delay_after(4) <= 12
    assert all(150 <= delay_after(attempt) <= 450 for attempt in (10, 50, 500))


def test_a_message_out_of_attempts_goes_to_the_keeper_with_every_error(transport, keeper):
    make_route(max_attempts=3)
    publish_numbers(1)

    fail_for_good(transport, 1)

    [dead] = keeper.buried
    assert (dead.route, dead.reason, dead.key) == ("test", "attempts_spent", "k")
    assert dead.payload == {"n": 1}
    assert len(dead.errors) == 3


def test_without_a_limit_of_its_own_a_route_has_that_of_the_settings(transport, keeper, settings):
    settings.OUTBOX_MAX_ATTEMPTS = 2
    make_route()
    publish_numbers(1)

    fail_for_good(transport, 1)

    assert len(keeper.buried[0].errors) == 2


def test_a_dead_message_lets_its_key_go_on(transport, keeper):
    make_route(max_attempts=2)
    publish_numbers(1, 2, 3)

    fail_for_good(transport, 1)

    assert transport.payloads == numbers(2, 3)
    assert by_number() == {1: "dead"}


def test_on_a_route_that_parks_a_dead_message_holds_its_key(transport, keeper):
    make_route(max_attempts=2, on_dead=Route.OnDead.PARK)
    publish_numbers(1, 2)

    fail_for_good(transport, 1)
    publish_numbers(3)
    publish_numbers(4, key="other")
    drain()

    assert transport.payloads == numbers(4)
    assert by_number() == {1: "blocking", 2: "parked", 3: "parked"}


def test_poison_is_dead_at_once_and_the_others_flow(transport, keeper):
    make_route()
    publish_numbers(*range(1, 6), key="a")
    publish_numbers(6, key="b")
    transport.refuses = refuse(3, error=Poison)

    drain()

    assert sorted(transport.payloads) == numbers(1, 2, 4, 5, 6)
    assert [m.payload for m in transport.taken if m.key == "a"] == numbers(1, 2, 4, 5)
    assert [dead.reason for dead in keeper.buried] == ["poison"]


def test_a_delivery_whose_message_is_gone_is_poison(transport, keeper):
    make_route()
    publish_numbers(1, 2)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM outbox_message WHERE payload->>'n' = '1'")

    drain()

    assert transport.payloads == numbers(2)
    assert [(dead.reason, dead.payload) for dead in keeper.buried] == [("poison", None)]


def test_a_batch_that_fails_as_a_whole_is_halved_until_the_bad_one_is_alone(transport):
    make_route()
    for n in range(20):
        publish_numbers(n, key=f"k{n}")
    send = transport.send

    def chokes(target, messages):
        if any(message.payload == '{"n": 13}' for message in messages):
            raise RuntimeError("choked")
        return send(target, messages)

    transport.send = chokes
    drain()

    assert len(transport.taken) == 19
    assert by_number() == {13: "waiting"}


def test_the_halves_of_a_failed_batch_keep_the_order_of_the_key(transport):
    make_route()
    publish_numbers(*range(8))
    send = transport.send

    def chokes(target, messages):
        if any(message.payload == '{"n": 2}' for message in messages):
            raise RuntimeError("choked")
        return send(target, messages)

    transport.send = chokes
    drain()

    assert transport.payloads == numbers(0, 1)
    assert by_number() == {2: "waiting", **dict.fromkeys(range(3, 8), "parked")}


def test_a_keeper_that_raises_does_not_make_the_rest_go_out_twice(transport, monkeypatch, caplog):
    class Broken(KeepsDead):
        def bury(self, dead):
            raise RuntimeError("full")

    monkeypatch.setattr(dying, "_keepers", [Broken()])
    make_route()
    publish_numbers(1, key="a")
    publish_numbers(2, key="b")
    transport.refuses = refuse(1, error=Poison)

    relay_once()
    relay_once()

    assert transport.payloads == numbers(2)
    assert by_number() == {1: "ready"}
    assert "full" in caplog.text


def test_a_redis_that_is_down_spends_no_attempts(settings):
    """Trap 17: an hour without Redis must not turn every message into a dead letter."""
    route = make_route()
    publish_numbers(1, 2)
    alive = settings.REDIS_URL
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.REDIS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
    forget_processes_memory()

    for _ in range(30):
        breaker._breakers.clear()
        drain()

    assert set(Delivery.objects.values_list("status", "attempts")) == {("ready", 0)}
    route.refresh_from_db()
    assert route.outage_since
    assert "cannot be reached" in route.outage_error

    settings.REDIS_URL = alive
    forget_processes_memory()
    assert drain() == 2
    route.refresh_from_db()
    assert (route.outage_since, route.outage_error) == (None, "")
    assert [entry["data"] for entry in stream_entries()] == numbers(1, 2)


def test_a_redis_that_takes_nothing_spends_no_attempts(redis_server):
    make_route()
    publish_numbers(1)
    memory = redis_server.config_get("maxmemory")["maxmemory"]
    redis_server.config_set("maxmemory", 1)
    try:
        drain()
    finally:
        redis_server.config_set("maxmemory", memory)

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("ready", 0)


def test_a_target_of_another_kind_spends_attempts(redis_server):
    redis_server.set(STREAM, "no stream")
    make_route()
    publish_numbers(1)

    drain()

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("waiting", 1)
    assert delivery.errors[0]["error_class"] == redis.ResponseError.__name__
    assert "WRONGTYPE" in delivery.errors[0]["message"]


def test_after_an_outage_one_message_probes_and_then_the_route_ramps_up(transport, settings):
    settings.OUTBOX_BATCH_SIZE = 100
    route = make_route()
    publish_numbers(*range(100))

    def unreachable() -> None:
        raise Unavailable("down")

    transport.before = unreachable
    assert drain() == 0
    assert drain() == 0, "it rests"
    transport.before = lambda: None
    breaker.breaker_of(route.id).resting_until = 0

    drain()

    assert transport.batches == [1, 4, 16, 64, 15]
    assert transport.payloads == numbers(*range(100))


def test_a_route_rests_longer_with_every_outage_and_never_for_long(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    resting = breaker.Breaker()
    rests = []
    for _ in range(7):
        resting.record_outage()
        rests.append(resting.resting_until)

    assert rests == [0.5, 1, 2, 4, 8, 10, 10]


def test_an_outage_in_the_middle_of_a_batch_keeps_what_went_before(transport, monkeypatch):
    monkeypatch.setattr("outbox.delivering.MAX_CHUNK_BYTES", 20)
    make_route()
    publish_numbers(1, 2, 3, 4)
    batches = iter([None, Unavailable("down")])

    def second_fails() -> None:
        if error := next(batches, None):
            raise error

    transport.before = second_fails
    drain()

    assert transport.payloads == numbers(1, 2)
    assert by_number() == {3: "ready", 4: "ready"}
    assert Receipt.objects.get().count == 2


def test_sending_stops_ahead_of_a_chunk_that_would_outlast_the_lease(transport, monkeypatch):
    monkeypatch.setattr("outbox.delivering.MAX_CHUNK_BYTES", 20)
    batch = [
        Pending(n, 0, 1, "k", 0, None, False, str(n), "t", payload, "{}", None, "")
        for n, payload in enumerate(numbers(1, 2, 3, 4))
    ]

    outcome = deliver(transport, "target", batch, until=0)

    assert transport.payloads == numbers(1, 2)
    assert outcome.count == 2


def test_a_route_of_an_unknown_transport_rests_and_the_others_flow(transport):
    make_route("future", transport="carrier_pigeon")
    make_route()
    publish_numbers(1)

    drain()

    assert transport.payloads == numbers(1)
    assert "carrier_pigeon" in Route.objects.get(name="future").outage_error


def test_large_messages_go_in_chunks(transport):
    make_route()
    for n in range(12):
        publish_numbers(n)
    Message.objects.update(payload={"text": "x" * 200_000})

    drain()

    assert transport.batches == [5, 5, 2]


@pytest.mark.parametrize(
    "row",
    ["status = 'waiting'", "not_before = now()", "lane = 64", "lane = -1"],
)
def test_illegal_deliveries_are_refused_by_the_database(row):
    from django.db import IntegrityError, transaction

    make_route()
    publish_numbers(1)

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE outbox_delivery SET {row}")
