from __future__ import annotations

import pytest

from outbox.models import Delivery, Message, Receipt
from outbox.purging import purge_published
from outbox.relay import drain
from tests.outbox.builders import make_route, publish_numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lanes")]

LONG_AGO = "2000-01-01T00:00Z"


def left() -> list[int]:
    return [message.payload["n"] for message in Message.objects.order_by("id")]


def test_what_was_published_long_ago_goes_with_its_receipts(transport):
    make_route()
    publish_numbers(1, 2)
    drain()
    Message.objects.update(created_at=LONG_AGO)
    Receipt.objects.update(published_at=LONG_AGO)
    publish_numbers(3)
    drain()

    assert purge_published() == 3

    assert left() == [3]
    assert Receipt.objects.count() == 1


@pytest.mark.parametrize("status", ["ready", "parked", "dead", "blocking"])
def test_what_has_a_delivery_of_any_kind_stays(status):
    make_route()
    publish_numbers(1)
    Delivery.objects.update(status=status)
    Message.objects.update(created_at=LONG_AGO)

    assert purge_published() == 0
    assert left() == [1]


def test_purging_goes_in_batches_until_nothing_is_left(monkeypatch):
    monkeypatch.setattr("outbox.purging.BATCH", 3)
    publish_numbers(*range(10))
    Message.objects.update(created_at=LONG_AGO)

    assert purge_published() == 10


def test_purging_stops_when_its_time_is_up(monkeypatch):
    publish_numbers(1)
    Message.objects.update(created_at=LONG_AGO)

    assert purge_published(budget_s=0) == 0
    assert left() == [1]
