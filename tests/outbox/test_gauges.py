from __future__ import annotations

import pytest

from outbox import gauges
from outbox.models import Delivery, Lane, Message, Receipt, Route
from outbox.relay import drain
from outbox.routes import pause_route
from tests.outbox.builders import make_route, publish_numbers, refuse

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lanes")]


def gauge_of(name: str) -> gauges.RouteGauge:
    return next(gauge for gauge in gauges.route_gauges() if gauge.name == name)


def test_a_route_says_what_is_pending_and_since_when():
    route = make_route()
    pause_route(route, actor=None, reason="x")
    publish_numbers(1, 2, key="a")
    publish_numbers(3, key="b")
    first = Delivery.objects.order_by("id")[0]
    Delivery.objects.filter(pk=first.pk).update(created_at="2000-01-01T00:00Z")

    gauge = gauge_of("test")

    assert (gauge.pending, gauge.pending_text, gauge.is_capped) == (3, "3", False)
    assert gauge.oldest_at.year == 2000
    assert gauge.oldest_age_s > 1_000_000
    assert gauge.paused_at


def test_an_empty_route_has_no_oldest():
    make_route()

    gauge = gauge_of("test")

    assert (gauge.pending, gauge.oldest_at, gauge.oldest_age_s) == (0, None, None)


def test_the_count_is_capped(monkeypatch):
    monkeypatch.setattr(gauges, "CAP", 5)
    make_route()
    for n in range(10):
        publish_numbers(n, key=f"k{n}")

    gauge = gauge_of("test")

    assert (gauge.pending, gauge.pending_text, gauge.is_capped) == (5, "5+", True)


def test_throughput_comes_from_the_receipts(transport):
    make_route()
    publish_numbers(1, 2, 3)
    drain()
    Receipt.objects.update(published_at="2000-01-01T00:00Z")
    publish_numbers(4, 5)
    drain()

    gauge = gauge_of("test")

    assert (gauge.published_last_minute, gauge.published_last_hour) == (2, 2)


def test_a_backlog_has_a_forecast(transport):
    route = make_route()
    publish_numbers(*range(60))
    drain()
    pause_route(route, actor=None, reason="x")
    publish_numbers(1, 2)

    assert gauge_of("test").drain_s == 2


def test_a_blocked_key_says_why_since_when_and_what_it_holds_up(transport):
    make_route()
    publish_numbers(1, 2, 3, key="a")
    publish_numbers(4, key="b")
    transport.refuses = refuse(1)
    drain()

    [blocked] = gauges.blocked_keys()

    assert (blocked.route, blocked.key, blocked.status) == ("test", "a", "waiting")
    assert (blocked.error_class, blocked.error_message) == ("ValueError", "no")
    assert (blocked.attempts, blocked.parked) == (1, 2)
    assert blocked.not_before > blocked.since
    assert gauge_of("test").blocked == 3


def test_a_key_behind_a_dead_letter_is_blocked_too(transport):
    make_route(on_dead=Route.OnDead.PARK, max_attempts=1)
    publish_numbers(1, 2)
    transport.refuses = refuse(1)
    drain()

    [blocked] = gauges.blocked_keys()

    assert (blocked.status, blocked.parked, blocked.not_before) == ("blocking", 1, None)


def test_blocked_keys_of_one_route(transport):
    route = make_route()
    publish_numbers(1)
    transport.refuses = refuse(1)
    drain()

    assert len(gauges.blocked_keys(route_id=route.id)) == 1
    assert gauges.blocked_keys(route_id=route.id + 1) == []


def test_lanes_show_their_owners():
    Lane.objects.filter(pk=7).update(owner="host:1:1")

    assert [(lane.id, lane.owner) for lane in gauges.owned_lanes()] == [(7, "host:1:1")]


def test_when_a_message_was_published_is_found_by_its_receipt(transport):
    make_route()
    publish_numbers(1)
    drain()
    publish_numbers(2)
    first, second = Message.objects.order_by("id")

    times = gauges.published_times([first.id, second.id])

    assert times == {first.id: Receipt.objects.get().published_at}


def test_every_figure_is_one_query(django_assert_num_queries):
    for n in range(5):
        make_route(f"route-{n}", types=["test.*"])
    publish_numbers(*range(20))

    for figure in (gauges.route_gauges, gauges.blocked_keys, gauges.owned_lanes):
        with django_assert_num_queries(1):
            figure()
