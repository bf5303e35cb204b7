from __future__ import annotations

import json
import threading

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections

from dlq import reprocessing
from dlq.exceptions import LetterChanged, LetterNotFound, LetterSettled
from dlq.models import DeadLetter
from dlq.reprocessing import Outcome, register_handler, reprocess, reprocess_batch
from outbox import quick_redis
from outbox.models import Delivery, Message
from outbox.relay import drain
from outbox.uuid7 import uuid7
from tests.dlq.builders import kill_numbers, letter, make_reply_letter
from tests.outbox.builders import numbers, publish_numbers, refuse

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lanes")]


@pytest.fixture(autouse=True)
def _own_handlers(monkeypatch):
    monkeypatch.setattr(reprocessing, "_handlers", {})


def outcomes(result) -> list[Outcome]:
    return [item.outcome for item in result.items]


def test_a_letter_is_recovered_only_when_its_message_was_published(transport):
    [dead] = kill_numbers(transport, 1)
    transport.refuses = refuse()

    result = reprocess(dead.pk, actor=None)

    assert result.outcome == Outcome.QUEUED
    assert letter(dead.pk).status == "reprocessing"
    drain()
    recovered = letter(dead.pk)
    assert recovered.status == "recovered"
    assert recovered.settled_at
    assert recovered.version == dead.version + 2
    assert [m.message_id for m in transport.taken] == [dead.message_id]
    assert not Delivery.objects.exists()


def test_a_letter_that_fails_again_is_open_with_the_new_attempt(transport):
    [dead] = kill_numbers(transport, 1)
    transport.refuses = lambda message: RuntimeError("still no")

    reprocess(dead.pk, actor=None)
    drain()

    again = letter(dead.pk)
    assert (again.status, again.attempts) == ("open", 2)
    assert again.error_message == "still no"
    assert list(again.attempt_set.values_list("number", "error_class")) == [
        (1, "ValueError"),
        (2, "RuntimeError"),
    ]
    assert DeadLetter.objects.count() == 1


def test_an_outage_leaves_it_reprocessing_until_it_is_published(transport):
    from outbox.exceptions import Unavailable

    def down() -> None:
        raise Unavailable("down")

    [dead] = kill_numbers(transport, 1)
    transport.refuses, transport.before = refuse(), down

    reprocess(dead.pk, actor=None)
    drain()

    assert letter(dead.pk).status == "reprocessing"
    assert Delivery.objects.get().status == "ready"


@pytest.mark.django_db(transaction=True)
def test_reprocessing_wakes_the_relay(transport, redis_server):
    [dead] = kill_numbers(transport, 1)
    redis_server.delete("sagadesk", quick_redis.key("wake:outbox.relay"))

    reprocess(dead.pk, actor=None)

    assert redis_server.llen("sagadesk") == 1


def test_what_is_parked_behind_a_letter_follows_it_in_order(transport):
    [dead] = kill_numbers(transport, 1, on_dead="park")
    publish_numbers(2, 3)
    drain()
    assert transport.taken == []
    transport.refuses = refuse()

    reprocess(dead.pk, actor=None)
    drain()

    assert transport.payloads == numbers(1, 2, 3)
    assert letter(dead.pk).status == "recovered"


def test_what_is_parked_stays_so_when_the_letter_fails_again(transport):
    [dead] = kill_numbers(transport, 1, on_dead="park")
    publish_numbers(2)
    drain()

    reprocess(dead.pk, actor=None)
    drain()

    assert transport.taken == []
    assert sorted(Delivery.objects.values_list("status", flat=True)) == ["blocking", "parked"]


def test_letters_of_a_key_go_in_the_order_of_their_messages(transport):
    letters = kill_numbers(transport, 1, 2, 3)
    transport.refuses = refuse()

    reprocess_batch(ids=[dead.pk for dead in reversed(letters)], actor=None)
    drain()

    assert transport.payloads == numbers(1, 2, 3)


def test_who_reprocessed_and_why_is_written_down(transport, admin_user):
    [dead] = kill_numbers(transport, 1)
    transport.refuses = refuse()

    reprocess(dead.pk, actor=admin_user, reason="fixed")
    drain()

    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (admin_user, str(dead.pk))
    assert json.loads(entry.change_message) == {"verb": "reprocess", "reason": "fixed"}
    recovered = letter(dead.pk)
    assert (recovered.settled_by, recovered.settle_reason) == ("admin", "fixed")


def test_a_request_that_is_repeated_does_nothing_twice(transport, admin_user):
    [dead] = kill_numbers(transport, 1)

    reprocess(dead.pk, actor=admin_user, request_id="r-1")
    version = letter(dead.pk).version
    again = reprocess(dead.pk, actor=admin_user, request_id="r-1")

    assert again.outcome == Outcome.REPEATED
    assert letter(dead.pk).version == version
    assert LogEntry.objects.count() == 1


def test_a_letter_that_changed_since_it_was_shown_is_refused(admin_user):
    dead = make_reply_letter()
    make_reply_letter()

    with pytest.raises(LetterChanged) as refusal:
        reprocess(dead.pk, actor=admin_user, version=dead.version)

    assert (refusal.value.seen, refusal.value.version, refusal.value.status) == (1, 2, "open")
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("status", ["recovered", "discarded", "reprocessing"])
def test_a_letter_that_is_not_open_is_refused(status):
    dead = make_reply_letter()
    at = None if status == "reprocessing" else "2000-01-01T00:00Z"
    DeadLetter.objects.update(status=status, settled_at=at)

    with pytest.raises(LetterSettled) as refusal:
        reprocess(dead.pk, actor=None)

    assert refusal.value.status == status


def test_a_letter_that_does_not_exist_is_refused():
    with pytest.raises(LetterNotFound):
        reprocess(uuid7(), actor=None)


def test_a_reply_is_handed_to_whoever_takes_replies():
    dead = make_reply_letter()
    taken = []
    register_handler("reply", taken.append)

    result = reprocess(dead.pk, actor=None)

    assert result.outcome == Outcome.RECOVERED
    assert letter(dead.pk).status == "recovered"
    assert taken == [dead]


def test_a_reply_that_fails_again_leaves_nothing_but_its_attempt():
    dead = make_reply_letter()

    def fail(dead: DeadLetter) -> None:
        Message.objects.create(type="t", key="k", payload={})
        raise RuntimeError("still unknown")

    register_handler("reply", fail)
    result = reprocess(dead.pk, actor=None)

    assert (result.outcome, result.detail) == (Outcome.FAILED, "RuntimeError: still unknown")
    again = letter(dead.pk)
    assert (again.status, again.attempts) == ("open", 2)
    assert (again.payload, again.error_class) == ({"ok": True}, "RuntimeError")
    assert not Message.objects.exists()


def test_a_letter_that_nobody_here_takes_stays_open():
    dead = make_reply_letter()

    result = reprocess(dead.pk, actor=None)

    assert result.outcome == Outcome.FAILED
    assert "source reply" in result.detail
    assert letter(dead.pk).status == "open"


def test_a_letter_whose_delivery_is_gone_stays_open(transport):
    [dead] = kill_numbers(transport, 1)
    Delivery.objects.all().delete()

    result = reprocess(dead.pk, actor=None)

    assert result.outcome == Outcome.FAILED
    assert letter(dead.pk).status == "open"


def test_a_batch_answers_for_each_of_its_letters():
    register_handler("reply", lambda dead: None if dead.message_id == "good" else 1 / 0)
    good, bad, gone = (make_reply_letter(name) for name in ("good", "bad", "gone"))
    DeadLetter.objects.filter(pk=gone.pk).update(status="discarded", settled_at="2000-01-01T00Z")
    unknown = uuid7()

    result = reprocess_batch(ids=[good.pk, bad.pk, gone.pk, unknown], actor=None)

    assert {item.letter_id: item.outcome for item in result.items} == {
        good.pk: Outcome.RECOVERED,
        bad.pk: Outcome.FAILED,
        gone.pk: Outcome.SETTLED,
        unknown: Outcome.MISSING,
    }
    assert result.count(Outcome.RECOVERED) == 1


def test_a_batch_takes_the_oldest_open_letters_of_a_group_up_to_its_limit():
    register_handler("reply", lambda dead: None)
    letters = [make_reply_letter(f"m-{n}") for n in range(4)]
    other = make_reply_letter("other", participant="ships")
    third = make_reply_letter("third", error_class="Other")

    result = reprocess_batch(
        destination="payments", fingerprint=letters[0].fingerprint, limit=3, actor=None
    )

    assert [item.letter_id for item in result.items] == [dead.pk for dead in letters[:3]]
    assert {letter(dead.pk).status for dead in (letters[3], other, third)} == {"open"}


def test_a_batch_of_messages_costs_the_same_for_ten_and_for_a_hundred(
    transport, django_assert_max_num_queries
):
    dead = [kill_numbers(transport, n, key=f"k{n}")[0] for n in range(40)]

    with django_assert_max_num_queries(12):
        result = reprocess_batch(ids=[one.pk for one in dead], actor=None)

    assert outcomes(result) == [Outcome.QUEUED] * 40


@pytest.mark.django_db(transaction=True)
def test_two_operators_at_the_same_moment_reprocess_a_letter_once():
    calls = []
    register_handler("reply", calls.append)
    dead = make_reply_letter()
    barrier = threading.Barrier(2)
    results: list[str] = []

    def press() -> None:
        try:
            barrier.wait(10)
            results.append(reprocess(dead.pk, actor=None, version=dead.version).outcome)
        except LetterSettled as refusal:
            results.append(refusal.status)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == ["recovered", "recovered"]
    assert len(calls) == 1
