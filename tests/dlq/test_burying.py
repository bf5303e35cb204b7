from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from dlq.fingerprints import fingerprint
from dlq.models import DeadLetter
from outbox.exceptions import Poison
from outbox.models import Delivery
from outbox.relay import drain
from tests.dlq.builders import kill_numbers, letter, make_reply_letter
from tests.outbox.builders import end_waiting, make_route, publish_numbers, refuse

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lanes")]


def attempts_of(dead: DeadLetter) -> list[tuple[int, str, str]]:
    return list(dead.attempt_set.values_list("number", "error_class", "error_message"))


def test_a_message_out_of_attempts_becomes_a_letter_with_every_attempt(transport):
    make_route(max_attempts=3)
    publish_numbers(1)
    transport.refuses = refuse(1)
    for _ in range(3):
        end_waiting()
        drain()

    dead = DeadLetter.objects.get()
    delivery = Delivery.objects.get()
    assert (dead.source, dead.status, dead.reason) == ("outbox", "open", "attempts_spent")
    assert (dead.destination, dead.type, dead.key) == ("test", "test.number", "k")
    assert (dead.message_id, dead.payload) == (str(delivery.message_id), {"n": 1})
    assert (dead.error_class, dead.error_message) == ("ValueError", "no")
    assert attempts_of(dead) == [(n, "ValueError", "no") for n in (1, 2, 3)]
    assert (dead.attempts, delivery.letter_id) == (3, dead.pk)


def test_poison_becomes_a_letter_at_once(transport):
    make_route()
    publish_numbers(1)
    transport.refuses = refuse(1, error=Poison)

    drain()

    dead = DeadLetter.objects.get()
    assert (dead.reason, dead.attempts) == ("poison", 1)


def test_many_that_die_together_become_letters_in_one_statement(
    transport, django_assert_max_num_queries
):
    make_route(max_attempts=1)
    for n in range(100):
        publish_numbers(n, key=f"k{n}")
    transport.refuses = lambda message: ValueError("no")

    with django_assert_max_num_queries(3 * 4):
        drain()

    assert DeadLetter.objects.count() == 100


def test_a_reply_is_buried_as_it_came():
    dead = make_reply_letter(headers={"a": "b"}, type="reply", key="k")

    assert (dead.source, dead.destination, dead.message_id) == ("reply", "payments", "m-1")
    assert (dead.payload, dead.headers, dead.type, dead.key) == (
        {"ok": True},
        {"a": "b"},
        "reply",
        "k",
    )
    assert attempts_of(dead) == [(1, "UnknownSaga", "There is no saga 1.")]


def test_a_second_burial_of_an_open_letter_adds_an_attempt():
    first = make_reply_letter()

    second = make_reply_letter(error_message="There is no saga 2.")

    assert second.pk == first.pk
    assert (second.attempts, second.version) == (2, first.version + 1)
    assert [message for _, _, message in attempts_of(second)] == [
        "There is no saga 1.",
        "There is no saga 2.",
    ]


def test_a_settled_letter_is_left_alone_and_a_new_one_made():
    first = make_reply_letter()
    DeadLetter.objects.update(status="discarded", settled_at="2000-01-01T00:00Z")

    second = make_reply_letter()

    assert second.pk != first.pk
    assert letter(first.pk).status == "discarded"


@pytest.mark.parametrize(
    ("payload", "stored"),
    [
        (None, None),
        ("a\x00b", "a\N{REPLACEMENT CHARACTER}b"),
        ({"\x00": ["\ud800"]}, {"\N{REPLACEMENT CHARACTER}": ["?"]}),
        ("\\u0000", "\\u0000"),
        (float("nan"), "nan"),
        (
            {
                1,
            },
            "{1}",
        ),
    ],
)
def test_whatever_came_can_be_buried(payload, stored):
    assert make_reply_letter(payload=payload).payload == stored


def test_a_payload_too_deep_to_read_can_be_buried():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]

    assert make_reply_letter(payload=deep).payload


def test_texts_are_capped():
    dead = make_reply_letter(
        message_id="m" * 300,
        participant="p" * 300,
        error_class="E" * 300,
        error_message="가" * 5000 + "\x00",
    )

    assert len(dead.message_id) == len(dead.destination) == len(dead.error_class) == 200
    assert len(dead.error_message.encode()) <= 8192
    assert dead.attempt_set.get().error_message == dead.error_message


def test_one_cause_has_one_fingerprint():
    first = fingerprint("pay", "Timeout", "order 17 at 0xdeadbeef: 'abc'\nline 2")

    assert first == fingerprint("pay", "Timeout", "order 4711 at 0xbeef: 'xyz'\nother")
    assert first != fingerprint("ship", "Timeout", "order 17 at 0xdeadbeef: 'abc'")
    assert first != fingerprint("pay", "Refused", "order 17 at 0xdeadbeef: 'abc'")
    assert first != fingerprint("pay", "Timeout", "basket 17 at 0xdeadbeef: 'abc'")
    assert len(first) == 64


@pytest.mark.parametrize(
    "change",
    ["status = 'recovered'", "settled_at = now()", "status = 'discarded', settled_at = NULL"],
)
def test_illegal_states_are_refused_by_the_database(change):
    make_reply_letter()

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE dlq_deadletter SET {change}")


def test_dead_messages_of_a_route_that_goes_on_do_not_hold_their_key(transport):
    first, second = kill_numbers(transport, 1, 2)

    assert first.key == second.key
    assert set(Delivery.objects.values_list("status", flat=True)) == {"dead"}
