"""Limits and breakers: what workers may have, together through Redis and by themselves."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

import pytest

from sagas.participants import shared_limits
from sagas.participants.breaker import BreakerRules, State, is_outage
from sagas.participants.limits import Limits, Policy, Report
from tests.sagas.limiting import LEASE_S, NAME, Alone, Together, TogetherAtOnce

THREE_IN_A_ROW = Policy(breaker=BreakerRules(failures=3, open_s=10.0))
HALF_OF_THEM = Policy(breaker=BreakerRules(ratio=50, window_s=30.0, open_s=10.0))


@pytest.fixture(params=[TogetherAtOnce, Alone])
def workers(request: pytest.FixtureRequest) -> Together | Alone:
    """The same rules hold in Redis and without it."""
    kind: type[Together | Alone] = request.param
    return kind()


def trip(workers: Together | Alone, policy: Policy = THREE_IN_A_ROW) -> None:
    assert workers.tell(policy, outages=3, streak=3).state == State.OPEN


def test_without_limits_everything_is_granted(workers: Together | Alone) -> None:
    verdict = workers.tell(Policy(), in_air=500, wanted=200, oks=3, outages=200, streak=200)

    assert (verdict.granted, verdict.state, verdict.wait_s) == (200, State.CLOSED, 0)


def test_no_more_are_in_the_air_than_allowed(workers: Together | Alone) -> None:
    policy = Policy(max_concurrency=5)

    assert workers.tell(policy, wanted=3).granted == 3
    assert workers.tell(policy, in_air=3, wanted=3).granted == 2
    assert workers.tell(policy, in_air=5, wanted=3).granted == 0
    assert workers.tell(policy, in_air=4, wanted=3).granted == 1


def test_two_workers_share_the_calls_in_the_air() -> None:
    workers, policy = Together(), Policy(max_concurrency=5)

    assert workers.tell(policy, "one", wanted=4).granted == 4
    assert workers.tell(policy, "two", wanted=4).granted == 1
    workers.tell(policy, "one", in_air=2)
    verdict = workers.tell(policy, "two", in_air=1, wanted=4)

    assert (verdict.granted, verdict.workers) == (2, 2)


def test_what_a_killed_worker_had_comes_back_after_its_lease() -> None:
    workers, policy = Together(), Policy(max_concurrency=5)
    workers.tell(policy, "one", wanted=5)

    workers.let_pass(LEASE_S - 1)
    assert workers.tell(policy, "two", wanted=5).granted == 0
    workers.let_pass(2)
    verdict = workers.tell(policy, "two", wanted=5)

    assert (verdict.granted, verdict.workers) == (5, 1)


def test_a_worker_that_reports_keeps_what_it_has() -> None:
    workers, policy = Together(), Policy(max_concurrency=5)
    workers.tell(policy, "one", wanted=5)

    for _ in range(3):
        workers.let_pass(LEASE_S - 1)
        workers.tell(policy, "one", in_air=5)

    assert workers.tell(policy, "two", wanted=1).granted == 0


def test_calls_per_second_are_spread_over_it(workers: Together | Alone) -> None:
    policy = Policy(max_rate=100)

    assert workers.tell(policy, wanted=50).granted == 10
    verdict = workers.tell(policy, wanted=50)
    assert verdict.granted == 0
    assert 0 < verdict.wait_s <= 0.01
    workers.let_pass(0.05)
    assert 5 <= workers.tell(policy, wanted=50).granted <= 6


def test_a_slow_rate_lets_one_call_through_at_a_time(workers: Together | Alone) -> None:
    policy = Policy(max_rate=0.5)

    assert workers.tell(policy, wanted=50).granted == 1
    assert 1.9 < workers.tell(policy, wanted=50).wait_s <= 2
    workers.let_pass(100)
    assert workers.tell(policy, wanted=50).granted == 1


def test_two_workers_share_the_calls_per_second() -> None:
    workers, policy = TogetherAtOnce(), Policy(max_rate=100)

    assert workers.tell(policy, "one", wanted=6).granted == 6
    assert workers.tell(policy, "two", wanted=6).granted == 4


def test_failures_in_a_row_open_the_breaker(workers: Together | Alone) -> None:
    assert workers.tell(THREE_IN_A_ROW, outages=2, streak=2).state == State.CLOSED
    verdict = workers.tell(THREE_IN_A_ROW, outages=1, streak=1, wanted=9)

    assert (verdict.state, verdict.granted, verdict.change) == (State.OPEN, 0, "opened")
    assert verdict.why == "3 in a row"
    assert 9 < verdict.wait_s <= 10


def test_an_answer_ends_the_row(workers: Together | Alone) -> None:
    workers.tell(THREE_IN_A_ROW, outages=2, streak=2)
    workers.tell(THREE_IN_A_ROW, oks=1, outages=3, streak=2)

    assert workers.tell(THREE_IN_A_ROW, oks=1).state == State.CLOSED
    assert workers.tell(THREE_IN_A_ROW, outages=2, streak=2).state == State.CLOSED


def test_the_row_is_counted_over_all_workers() -> None:
    workers = Together()
    workers.tell(THREE_IN_A_ROW, "one", outages=2, streak=2)

    assert workers.tell(THREE_IN_A_ROW, "two", outages=1, streak=1).change == "opened"
    assert workers.tell(THREE_IN_A_ROW, "one", wanted=1).state == State.OPEN


def test_a_share_of_failed_calls_opens_the_breaker(workers: Together | Alone) -> None:
    assert workers.tell(HALF_OF_THEM, oks=9, outages=10, streak=1).state == State.CLOSED
    verdict = workers.tell(HALF_OF_THEM, oks=1, outages=1, streak=1)

    assert verdict.change == "opened"
    assert verdict.why == "11 of 21 calls"


def test_failures_before_the_window_do_not_count(workers: Together | Alone) -> None:
    workers.tell(HALF_OF_THEM, oks=9, outages=10, streak=1)
    workers.let_pass(31)

    assert workers.tell(HALF_OF_THEM, oks=1, outages=1, streak=1).state == State.CLOSED


def test_a_half_open_breaker_lets_exactly_one_call_through(workers: Together | Alone) -> None:
    trip(workers)
    workers.let_pass(10)

    first = workers.tell(THREE_IN_A_ROW, wanted=5)
    second = workers.tell(THREE_IN_A_ROW, in_air=1, wanted=5, probe="flying")

    assert (first.state, first.granted) == (State.HALF_OPEN, 1)
    assert (second.state, second.granted) == (State.HALF_OPEN, 0)
    assert second.wait_s > 0


def test_two_workers_have_one_probe_between_them() -> None:
    workers = Together()
    trip(workers)
    workers.let_pass(10)

    assert workers.tell(THREE_IN_A_ROW, "two", wanted=5).granted == 1
    assert workers.tell(THREE_IN_A_ROW, "one", wanted=5).granted == 0
    closed = workers.tell(THREE_IN_A_ROW, "two", wanted=5, probe="ok", oks=1)

    assert (closed.change, closed.granted) == ("closed", 5)
    assert workers.tell(THREE_IN_A_ROW, "one", wanted=5).granted == 5


def test_a_probe_that_fails_opens_the_breaker_again(workers: Together | Alone) -> None:
    trip(workers)
    workers.let_pass(10)
    workers.tell(THREE_IN_A_ROW, wanted=1)

    verdict = workers.tell(THREE_IN_A_ROW, wanted=1, probe="outage", outages=1, streak=1)

    assert (verdict.state, verdict.granted, verdict.change) == (State.OPEN, 0, "opened")
    assert verdict.wait_s > 9


def test_a_probe_that_was_never_sent_is_given_to_the_next(workers: Together | Alone) -> None:
    trip(workers)
    workers.let_pass(10)
    workers.tell(THREE_IN_A_ROW, wanted=1)

    assert workers.tell(THREE_IN_A_ROW, wanted=1).granted == 1


def test_the_probe_of_a_killed_worker_comes_back_after_its_lease() -> None:
    workers = Together()
    trip(workers)
    workers.let_pass(10)
    workers.tell(THREE_IN_A_ROW, "one", wanted=1)

    workers.let_pass(LEASE_S - 1)
    assert workers.tell(THREE_IN_A_ROW, "two", wanted=1).granted == 0
    workers.let_pass(2)

    assert workers.tell(THREE_IN_A_ROW, "two", wanted=1).granted == 1


def test_late_answers_move_an_open_breaker_nowhere(workers: Together | Alone) -> None:
    trip(workers)

    verdict = workers.tell(THREE_IN_A_ROW, oks=5)
    assert verdict.state == State.OPEN
    assert verdict.wait_s > 9
    workers.let_pass(10)
    assert workers.tell(THREE_IN_A_ROW, outages=5, streak=5).state == State.HALF_OPEN


def test_an_operator_closes_the_breaker_once(workers: Together | Alone) -> None:
    trip(workers)
    reset = Policy(breaker=THREE_IN_A_ROW.breaker._replace(reset_at=1_700_000_000.25))

    verdict = workers.tell(reset, wanted=5)
    assert (verdict.state, verdict.granted, verdict.change) == (State.CLOSED, 5, "closed")
    trip(workers, reset)
    assert workers.tell(reset, wanted=5).state == State.OPEN


def test_a_breaker_that_is_switched_off_closes(workers: Together | Alone) -> None:
    trip(workers)

    assert workers.tell(Policy(), wanted=5).granted == 5


def test_all_participants_are_asked_about_at_once() -> None:
    limits = Limits("one", lease_s=LEASE_S)

    verdicts = limits.exchange(
        [Report(f"P{number}", Policy(max_concurrency=number), wanted=9) for number in (1, 2, 3)]
    )

    assert [verdict.granted for verdict in verdicts] == [1, 2, 3]


def test_a_breaker_says_in_the_log_that_it_opens_and_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    workers = Together()

    trip(workers)
    workers.let_pass(10)
    workers.tell(THREE_IN_A_ROW, wanted=1)
    workers.tell(THREE_IN_A_ROW, probe="ok", oks=1)

    assert [record.getMessage() for record in caplog.records] == [
        f"The breaker of {NAME} is open for 10 s: 3 in a row failed.",
        f"The breaker of {NAME} is closed again.",
    ]


def test_a_dead_redis_holds_nobody_up(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    workers, policy = Together(), Policy(max_concurrency=6, max_rate=1_000)
    workers.tell(policy, "two")
    assert workers.tell(policy, "one").workers == 2
    with socket.create_server(("127.0.0.1", 0)) as hung:
        settings.REDIS_URL = f"redis://127.0.0.1:{hung.getsockname()[1]}/0"
        began = time.perf_counter()

        verdicts = [workers.tell(policy, "one", wanted=9), workers.tell(policy, "one", wanted=9)]

    assert time.perf_counter() - began < 0.15
    # Its share: half of what is shared by two.
    assert [verdict.granted for verdict in verdicts] == [3, 3]
    assert len(caplog.records) == 1


def test_with_redis_back_workers_share_again() -> None:
    workers = Together()
    shared_limits.resting.resting_until = time.monotonic() + 60
    trip(workers)
    assert workers.tell(THREE_IN_A_ROW, "two", wanted=1).granted == 1
    shared_limits.resting.resting_until = 0

    verdict = workers.tell(THREE_IN_A_ROW, "one", in_air=4, wanted=1)

    assert (verdict.state, verdict.granted) == (State.CLOSED, 1)


@pytest.mark.parametrize(
    ("outcome", "kind", "outage"),
    [
        ("succeeded", "", False),
        ("accepted", "", False),
        ("absent", "", False),
        ("unknown", "ReadTimeoutError", True),
        ("unknown", "ProtocolError", True),
        ("unknown", "NoProbe", None),
        ("failed", "NewConnectionError", True),
        ("failed", "ConnectTimeoutError", True),
        ("failed", "AddressNotAllowed", None),
        ("failed", "HTTP500", True),
        ("failed", "HTTP503", True),
        ("failed", "HTTP408", True),
        ("failed", "HTTP429", None),
        ("failed", "HTTP409", False),
        ("failed", "InvalidAnswer", False),
    ],
)
def test_only_outages_count_against_a_participant(
    outcome: str, kind: str, outage: bool | None
) -> None:
    assert is_outage(outcome, {"class": kind} if kind else {}) is outage
