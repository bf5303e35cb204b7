"""Figures of participants: counted by drivers, kept by Redis, read by pages."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
import redis
from django.conf import settings as project_settings

from outbox import quick_redis
from sagas.participants import figures
from sagas.participants.breaker import BreakerRules, State
from sagas.participants.figures import LAST_BUCKET, Condition, Figures, bucket_of, read_conditions
from sagas.participants.limits import Policy
from tests.sagas.limiting import LEASE_S, NAME, Together

OPENS = Policy(breaker=BreakerRules(failures=1, open_s=10.0))


def condition(reset_at: float = 0.0) -> Condition:
    conditions = read_conditions({NAME: reset_at})
    assert conditions is not None
    return conditions[NAME]


def test_a_participant_that_nobody_calls_has_no_figures() -> None:
    assert condition() == Condition()


def test_figures_of_two_drivers_add_up() -> None:
    one, two = Figures(), Figures()
    for _ in range(90):
        one.count(NAME, 0.010, False)
    for _ in range(10):
        two.count(NAME, 2.0, True)

    one.hand_in()
    two.hand_in()

    found = condition()
    assert found.outage_share == pytest.approx(0.1)
    assert found.p50_s == pytest.approx(0.010, rel=0.2)
    assert found.p95_s == pytest.approx(2.0, rel=0.3)
    assert found.calls_per_minute == 100


def test_what_was_handed_in_is_not_handed_in_again() -> None:
    one = Figures()
    one.count(NAME, 0.010, None)

    one.hand_in()
    one.hand_in()

    assert condition().calls_per_minute == 1


def test_minutes_long_past_do_not_count() -> None:
    one = Figures()
    one.count(NAME, 0.010, False)
    one.hand_in()
    server = redis.Redis.from_url(project_settings.REDIS_URL)
    [key] = server.keys(quick_redis.key(f"calls:{NAME}:*"))  # type: ignore[misc]
    prefix, minute = key.decode().rsplit(":", 1)

    server.rename(key, f"{prefix}:{int(minute) - figures.MINUTES - 1}")

    assert condition().p50_s is None


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.0015, 0.2, 3.0, 100.0])
def test_a_latency_lies_within_its_bucket(seconds: float) -> None:
    lower, upper = figures._bounds(bucket_of(seconds))

    assert lower <= seconds + 1e-9
    assert seconds < upper + 1e-9


def test_an_endless_call_has_the_last_bucket() -> None:
    assert bucket_of(1e6) == LAST_BUCKET


def test_calls_in_flight_are_those_of_all_workers() -> None:
    workers = Together()
    workers.tell(OPENS, "one", in_air=3)
    workers.tell(OPENS, "two", in_air=2, wanted=2)

    assert (condition().in_flight, condition().workers) == (7, 2)
    workers.let_pass(LEASE_S + 1)
    workers.tell(OPENS, "two", in_air=2)
    assert condition().in_flight == 2


def test_the_breaker_is_seen_opening_and_half_opening() -> None:
    workers = Together()

    workers.tell(OPENS, outages=1, streak=1)
    opened = condition()
    workers.let_pass(11)
    half_open = condition()

    assert opened.breaker == State.OPEN
    assert opened.since
    assert opened.until
    assert (opened.until - opened.since).total_seconds() == pytest.approx(10)
    assert (half_open.breaker, half_open.until) == (State.HALF_OPEN, None)


def test_a_breaker_closed_by_an_operator_is_seen_at_once() -> None:
    Together().tell(OPENS, outages=1, streak=1)

    assert condition(reset_at=time.time()).breaker == State.CLOSED


def test_without_redis_nothing_is_known_and_nothing_breaks(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    one = Figures()
    one.count(NAME, 0.010, False)

    one.hand_in()

    assert read_conditions({NAME: 0.0}) is None
