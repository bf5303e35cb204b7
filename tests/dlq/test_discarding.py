from __future__ import annotations

import json
import threading

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections

from dlq.exceptions import LetterChanged, LetterNotFound, LetterSettled, ReasonRequired
from dlq.reprocessing import Outcome, discard
from outbox.models import Delivery
from outbox.relay import drain
from outbox.uuid7 import uuid7
from tests.dlq.builders import kill_numbers, letter, make_reply_letter
from tests.outbox.builders import numbers, publish_numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lanes")]


def test_a_discarded_letter_is_settled_with_who_and_why(admin_user):
    dead = make_reply_letter()

    result = discard(dead.pk, actor=admin_user, reason="test data")

    assert result.count(Outcome.DISCARDED) == 1
    settled = letter(dead.pk)
    assert (settled.status, settled.settled_by) == ("discarded", "admin")
    assert settled.settle_reason == "test data"
    assert settled.settled_at
    entry = LogEntry.objects.get()
    assert json.loads(entry.change_message) == {"verb": "discard", "reason": "test data"}


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_discarding_takes_a_reason(reason):
    dead = make_reply_letter()

    with pytest.raises(ReasonRequired):
        discard(dead.pk, actor=None, reason=reason)

    assert letter(dead.pk).status == "open"


def test_what_was_parked_behind_a_discarded_letter_goes_on(transport):
    [dead] = kill_numbers(transport, 1, on_dead="park")
    publish_numbers(2, 3)
    drain()

    discard(dead.pk, actor=None, reason="obsolete")
    drain()

    assert transport.payloads == numbers(2, 3)
    assert not Delivery.objects.exists()


def test_discarding_one_key_leaves_the_others_parked(transport):
    [first] = kill_numbers(transport, 1, key="a", on_dead="park")
    kill_numbers(transport, 2, key="b")
    publish_numbers(3, key="a")
    publish_numbers(4, key="b")
    drain()

    discard(first.pk, actor=None, reason="obsolete")
    drain()

    assert transport.payloads == numbers(3)


def test_a_repeated_request_discards_once(admin_user):
    dead = make_reply_letter()

    discard(dead.pk, actor=admin_user, reason="x", request_id="r-1")
    again = discard(dead.pk, actor=admin_user, reason="x", request_id="r-1")

    assert again.items[0].outcome == Outcome.REPEATED
    assert LogEntry.objects.count() == 1


def test_one_letter_that_cannot_be_discarded_is_refused_with_the_reason():
    dead = make_reply_letter()
    with pytest.raises(LetterChanged):
        discard(dead.pk, actor=None, reason="x", version=dead.version + 1)
    discard(dead.pk, actor=None, reason="x")
    with pytest.raises(LetterSettled):
        discard(dead.pk, actor=None, reason="x")
    with pytest.raises(LetterNotFound):
        discard(uuid7(), actor=None, reason="x")


def test_several_are_answered_for_each():
    first, second = make_reply_letter("a"), make_reply_letter("b")
    discard(first.pk, actor=None, reason="x")

    result = discard([first.pk, second.pk], actor=None, reason="x")

    assert {item.letter_id: item.outcome for item in result.items} == {
        first.pk: Outcome.SETTLED,
        second.pk: Outcome.DISCARDED,
    }


@pytest.mark.django_db(transaction=True)
def test_a_follower_parked_while_its_head_is_discarded_is_not_forgotten(transport):
    """The relay sees the head, the operator discards it, and only then the relay parks."""
    [dead] = kill_numbers(transport, 1, on_dead="park")
    publish_numbers(2)
    publish_numbers(3, key="other")
    discarded = threading.Event()

    def discard_meanwhile() -> None:
        transport.before = lambda: None

        def work() -> None:
            discard(dead.pk, actor=None, reason="obsolete")
            connections.close_all()
            discarded.set()

        threading.Thread(target=work).start()
        discarded.wait(10)

    transport.before = discard_meanwhile
    drain()

    assert sorted(transport.payloads) == numbers(2, 3)
    assert not Delivery.objects.exists()
