from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction

from outbox.exceptions import MessageRefused, PayloadTooLarge
from outbox.messages import lane_of
from outbox.models import Delivery, Message
from outbox.publishing import NewMessage, publish, publish_many
from outbox.statements import insert_messages
from outbox.uuid7 import uuid7
from tests.outbox.builders import make_route

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lanes")]


def test_a_message_is_stored_as_it_was_published():
    saga_id = uuid7()

    message_id = publish("test.a", "key", {"ß": [1]}, headers={"tenant": "x"}, saga_id=saga_id)

    message = Message.objects.get(pk=message_id)
    assert (message.type, message.key, message.payload) == ("test.a", "key", {"ß": [1]})
    assert (message.headers, message.saga_id) == ({"tenant": "x"}, saga_id)


def test_a_message_goes_with_its_transaction():
    make_route()

    with transaction.atomic():
        publish("test.a", "key", {})
        transaction.set_rollback(True)

    assert not Message.objects.exists()
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    ("types", "is_taken"),
    [
        (["test.a"], True),
        (["test.*"], True),
        (["*"], True),
        (["other", "test.*"], True),
        (["test"], False),
        (["test.a.*"], False),
        (["test%"], False),
        ([], False),
    ],
)
def test_a_route_takes_the_types_it_names(types, is_taken):
    make_route(types=types)

    publish("test.a", "key", {})

    assert Delivery.objects.exists() == is_taken


def test_a_message_that_two_patterns_of_a_route_match_goes_there_once():
    make_route(types=["test.*", "test.a"])
    make_route("second")

    publish("test.a", "key", {})

    assert sorted(Delivery.objects.values_list("route__name", flat=True)) == ["second", "test"]


def test_deliveries_are_numbered_in_the_order_of_the_call():
    make_route()
    messages = [NewMessage("test.a", f"k{n % 3}", n) for n in range(50)]

    publish_many(messages)

    stored = Delivery.objects.order_by("id").values_list("message__payload", flat=True)
    assert list(stored) == list(range(50))


def test_a_key_is_always_in_the_same_lane():
    # Written down, because deliveries in the table are where an older version has put them.
    assert [lane_of(key) for key in ("", "a", "order-1", "주문")] == [0, 3, 47, 36]


def test_publishing_works_inside_a_pipeline():
    make_route()
    raw = connection.connection
    with raw.pipeline():
        insert_messages(psycopg.Cursor(raw), [NewMessage("test.a", "k", 1)])
        insert_messages(psycopg.Cursor(raw), [NewMessage("test.a", "k", 2)])

    assert Delivery.objects.count() == 2


def test_a_payload_over_the_limit_is_refused(settings):
    settings.OUTBOX_MAX_PAYLOAD_BYTES = 10

    with pytest.raises(PayloadTooLarge, match="11 bytes; the limit is 10") as refusal:
        publish("test.a", "k", "가나다")

    assert (refusal.value.size, refusal.value.limit) == (11, 10)
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    "payload",
    [float("nan"), {"a": float("inf")}, "\x00", {"\x00": 1}, "\\\x00", "\ud800", {1, 2}, object()],
)
def test_a_payload_that_is_no_json_is_refused_before_the_database_sees_it(payload):
    with pytest.raises(MessageRefused) as refusal:
        publish("test.a", "k", payload)

    assert refusal.value.field == "payload"
    assert not Message.objects.exists()


def test_a_payload_that_only_looks_like_a_nul_is_taken():
    message_id = publish("test.a", "k", "\\u0000")

    assert Message.objects.get(pk=message_id).payload == "\\u0000"


@pytest.mark.parametrize(
    ("type_", "key", "headers", "field"),
    [
        ("t" * 201, "k", {}, "type"),
        ("t", "k" * 201, {}, "key"),
        ("t", "k\x00", {}, "key"),
        ("t", "k", {"a": "x" * 20_000}, "headers"),
    ],
)
def test_names_and_headers_have_limits(type_, key, headers, field):
    with pytest.raises(MessageRefused) as refusal:
        publish(type_, key, {}, headers=headers)

    assert refusal.value.field == field


def test_ids_of_one_process_sort_by_time():
    ids = [uuid7() for _ in range(1000)]

    assert ids == sorted(ids)
    assert all(isinstance(id_, UUID) and id_.version == 7 for id_ in ids)
    assert {id_.variant for id_ in ids} == {"specified in RFC 4122"}
