from __future__ import annotations

import pytest

from dlq import gauges
from dlq.models import DeadLetter
from dlq.purging import purge_settled
from tests.dlq.builders import make_reply_letter

pytestmark = pytest.mark.django_db


def test_letters_are_grouped_by_cause_the_largest_first(django_assert_num_queries):
    first = make_reply_letter("a", error_message="There is no saga 1.")
    last = make_reply_letter("b", error_message="There is no saga 2.")
    other = make_reply_letter("c", error_class="Other")

    with django_assert_num_queries(1):
        groups = gauges.letter_groups().groups

    assert [(group.fingerprint, group.count) for group in groups] == [
        (first.fingerprint, 2),
        (other.fingerprint, 1),
    ]
    assert (groups[0].oldest_at, groups[0].newest_at) == (first.dead_at, last.dead_at)
    assert (groups[0].newest_id, groups[0].error_message) == (last.pk, "There is no saga 2.")


def test_only_letters_of_the_status_are_grouped():
    make_reply_letter()

    assert gauges.letter_groups(status=DeadLetter.Status.DISCARDED).groups == []


def test_groups_are_bounded(monkeypatch):
    monkeypatch.setattr(gauges, "CAP", 2)
    for n in range(4):
        make_reply_letter(f"m-{n}")

    groups = gauges.letter_groups()

    assert groups.is_capped
    assert groups.groups[0].count <= 3


def test_settled_letters_go_after_their_time_and_open_ones_never():
    settled, open_ = make_reply_letter("a"), make_reply_letter("b")
    DeadLetter.objects.update(dead_at="2000-01-01T00:00Z")
    DeadLetter.objects.filter(pk=settled.pk).update(
        status="discarded", settled_at="2000-01-01T00:00Z"
    )

    assert purge_settled() == 1

    assert list(DeadLetter.objects.all()) == [open_]
