from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections import defaultdict

import psycopg
import pytest
from django.db import connection, connections, transaction

from outbox import quick_redis
from outbox.models import Delivery, Lane, Message, Receipt, Route
from outbox.publishing import NewMessage, publish, publish_many
from outbox.relay import drain, relay_once
from outbox.routes import pause_route, resume_route
from outbox.tasks import relay
from outbox.transports import TRANSPORTS
from tests.outbox.builders import (
    STREAM,
    end_leases,
    make_lanes,
    make_route,
    numbers,
    publish_numbers,
    stream_entries,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lanes")]


def in_thread(work) -> threading.Thread:
    """Run work in a thread with a database connection of its own, closed afterwards."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_stream_entry_is_a_cloudevent():
    make_route()
    id_ = publish("test.a", "key", {"ß": 1}, headers={"traceparent": "00-1-2-01"})

    assert drain() == 1

    [entry] = stream_entries()
    created = Message.objects.get(pk=id_).created_at
    assert entry == {
        "specversion": "1.0",
        "id": str(id_),
        "source": "/sagadesk",
        "type": "test.a",
        "subject": "key",
        "key": "key",
        "time": created.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "headers": '{"traceparent": "00-1-2-01"}',
        "data": '{"ß": 1}',
    }


def test_a_celery_task_is_called_with_a_cloudevent(redis_server):
    make_route(transport=Route.Transport.CELERY_TASK, target="shop.on_event")
    ids = [
        publish("test.a", "k", {"n": 1}, headers={"traceparent": "00-1-2-01"}),
        publish("test.b", "k", {"n": 2}),
    ]
    redis_server.delete("sagadesk")

    drain()

    # Workers take from the right.
    calls = [json.loads(redis_server.rpop("sagadesk")) for _ in range(2)]
    assert [call["headers"]["task"] for call in calls] == ["shop.on_event"] * 2
    messages = [json.loads(b64decode(call["body"]))[1]["message"] for call in calls]
    assert [message["id"] for message in messages] == [str(id_) for id_ in ids]
    assert messages[0]["data"] == {"n": 1}
    assert messages[0]["traceparent"] == "00-1-2-01"
    assert (messages[0]["type"], messages[0]["subject"]) == ("test.a", "k")


def test_what_is_published_is_pending_no_more_and_has_a_receipt():
    route = make_route()
    publish_numbers(1, 2)

    assert drain() == 2

    assert not Delivery.objects.exists()
    [receipt] = Receipt.objects.all()
    ids = [str(id_) for id_ in Message.objects.order_by("id").values_list("id", flat=True)]
    assert (receipt.route, receipt.count, receipt.message_ids) == (route, 2, ids)


def test_a_batch_takes_a_share_of_every_lane(settings, transport):
    settings.OUTBOX_BATCH_SIZE = 4
    make_route()
    publish_numbers(*range(10), key="a")
    publish_numbers(10, 11, key="b")

    assert relay_once().moved == 4
    assert {message.key for message in transport.taken} == {"a", "b"}

    drain()
    assert [m.payload for m in transport.taken if m.key == "a"] == numbers(*range(10))


def test_a_lane_that_was_served_waits_for_the_others(settings, transport):
    settings.OUTBOX_BATCH_SIZE = 1
    make_route()
    for n in range(40):
        publish_numbers(n, n, key=f"key-{n}")
    with_work = set(Delivery.objects.values_list("lane", flat=True))

    relay_once()
    relay_once()

    assert {message.lane for message in transport.taken} == with_work


def test_lanes_are_given_back():
    make_route()
    publish_numbers(1)

    drain()

    assert not Lane.objects.exclude(owner="").exists()
    assert Lane.objects.filter(epoch__gt=0, lease_until=None).count() == 1


def test_a_paused_route_is_left_alone_until_it_is_resumed(transport):
    route = make_route()
    make_route("second")
    publish_numbers(1)

    pause_route(route, actor=None, reason="maintenance")
    drain()
    assert list(Delivery.objects.values_list("route__name", flat=True)) == ["test"]

    resume_route("test", actor=None)
    drain()
    assert len(transport.taken) == 2


def test_work_left_at_the_end_of_the_time_wakes_the_relay(settings, transport, redis_server):
    settings.OUTBOX_BATCH_SIZE = 1
    make_route()
    publish_numbers(1, 2, 3)
    redis_server.delete(quick_redis.key("wake:outbox.relay"), "sagadesk")

    assert drain(budget_s=0) == 1

    assert redis_server.llen("sagadesk") == 1


def test_the_task_clears_its_flag_before_it_reads(transport, redis_server):
    make_route()
    publish_numbers(1)
    redis_server.set(quick_redis.key("wake:outbox.relay"), 1)
    seen = []
    transport.before = lambda: seen.append(redis_server.get(quick_redis.key("wake:outbox.relay")))

    relay()

    assert seen == [None]


def test_a_lease_of_another_relay_is_respected(transport):
    make_route()
    publish_numbers(1)
    Lane.objects.update(owner="other", lease_until="2999-01-01T00:00Z")

    assert drain() == 0
    assert transport.taken == []

    end_leases()
    assert drain() == 1


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_commits_late_loses_nothing(transport):
    """Trap 1: ids are given before the commit, so a later id is often visible first."""
    make_route()
    published = threading.Event()
    may_commit = threading.Event()

    def publish_slowly() -> None:
        with transaction.atomic():
            publish_numbers(1, key="slow")
            published.set()
            may_commit.wait(10)

    slow = in_thread(publish_slowly)
    published.wait(10)
    publish_numbers(2, key="fast")

    drain()
    assert transport.payloads == numbers(2)
    may_commit.set()
    slow.join()

    drain()
    assert transport.payloads == numbers(2, 1)


def test_a_relay_that_was_overtaken_marks_nothing(transport):
    """Trap 7: the lease ran out while it published; the other one's work stands."""
    make_route()
    publish_numbers(1)

    def overtake() -> None:
        transport.before = lambda: None
        end_leases()
        # The other relay takes the lane and is still at work.
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE outbox_lane SET epoch = epoch + 1, owner = 'other',"
                " lease_until = now() + interval '1 minute' WHERE owner <> ''"
            )

    transport.before = overtake
    relay_once()

    assert Delivery.objects.count() == 1
    assert not Receipt.objects.exists()
    assert Lane.objects.filter(owner="other").count() == 1


def test_an_overtaken_relay_does_not_count_its_failures_either(transport):
    make_route()
    publish_numbers(1)
    transport.refuses = lambda message: ValueError("no")
    transport.before = lambda: Lane.objects.exclude(owner="").update(epoch=100, owner="other")

    relay_once()

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("ready", 0)


@pytest.mark.django_db(transaction=True)
def test_a_relay_that_dies_after_publishing_leaves_a_repeat_with_the_same_id(monkeypatch):
    """Trap 4: at least once; consumers drop the repeat by its id."""
    make_route()
    publish_numbers(1)
    real = TRANSPORTS["redis_stream"]

    class DiesAfterwards:
        def send(self, target, messages):
            real.send(target, messages)
            raise SystemExit  # as SIGTERM would: nothing else of the relay runs

    monkeypatch.setitem(TRANSPORTS, "redis_stream", DiesAfterwards())
    with pytest.raises(SystemExit):
        relay_once()
    monkeypatch.setitem(TRANSPORTS, "redis_stream", real)

    assert drain() == 0, "the dead relay's lease still runs"
    end_leases()
    assert drain() == 1

    first, second = stream_entries()
    assert first == second


@pytest.mark.django_db(transaction=True)
def test_keys_keep_their_order_under_many_writers_and_two_relays(settings):
    settings.OUTBOX_BATCH_SIZE = 20
    settings.OUTBOX_WAKE_ON_COMMIT = False
    make_route()
    writing = threading.Event()
    writing.set()

    def write(writer: int) -> None:
        for n in range(40):
            # Four writers share two keys; each takes the key's number under a lock, as sagas do.
            key = f"shared-{writer % 2}"
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [key])
                number = Message.objects.filter(key=key).count()
                own = NewMessage("test.n", f"own-{writer}", n)
                publish_many([NewMessage("test.n", key, number), own])

    def relay_until_done() -> None:
        while writing.is_set() or Delivery.objects.exists():
            relay_once()

    writers = [in_thread(lambda writer=writer: write(writer)) for writer in range(4)]
    relays = [in_thread(relay_until_done) for _ in range(2)]
    for thread in writers:
        thread.join()
    writing.clear()
    for thread in relays:
        thread.join()

    by_key = defaultdict(list)
    for entry in stream_entries():
        by_key[entry["key"]].append(entry["data"])
    assert {key: len(data) for key, data in by_key.items()} == {
        "shared-0": 80,
        "shared-1": 80,
        **{f"own-{writer}": 40 for writer in range(4)},
    }
    assert all(data == [str(n) for n in range(len(data))] for data in by_key.values())


@pytest.mark.django_db(transaction=True)
def test_a_batch_of_any_size_takes_two_statements_and_no_transaction_is_open_meanwhile(transport):
    make_route()
    publish_many([NewMessage("test.n", f"k{n}", n) for n in range(300)])
    states = []
    transport.before = lambda: states.append(
        connection.connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE
    )

    drain()

    assert states
    assert all(states)


def test_the_stream_is_trimmed(settings, redis_server):
    settings.OUTBOX_STREAM_MAX_LENGTH = 100
    make_route()
    publish_numbers(*range(500))

    drain()

    assert 100 <= redis_server.xlen(STREAM) < 350


@pytest.mark.django_db(transaction=True)
def test_a_fresh_table_without_statistics_is_read_by_index():
    make_lanes()
    make_route()
    publish_many([NewMessage("test.n", f"k{n}", n) for n in range(3000)])
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN SELECT id FROM outbox_delivery"
            " WHERE lane = 1 AND route_id = 1 AND status = 'ready' ORDER BY id LIMIT 10"
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "outbox_delivery_ready" in plan
