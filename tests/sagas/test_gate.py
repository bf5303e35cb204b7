"""The gate of a driver: slots shared among participants, limits and breakers, who waits where."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from sagas.engine.bulkhead import SLOW_S, Flight
from sagas.engine.gate import GO, WAIT_HERE, Gate
from sagas.engine.statements import Lined
from sagas.participants.answers import Answer
from sagas.participants.breaker import BreakerRules
from sagas.participants.limits import Limits, Policy
from tests.sagas.limiting import LEASE_S, let_redis_pass

FREE = Policy()
THREE_IN_A_ROW = Policy(breaker=BreakerRules(failures=3, open_s=10.0))
DONE = Answer("succeeded")
BROKEN = Answer("failed", error={"class": "HTTP503", "retryable": True})


def make_gate(slots: int = 8, *, room: int = 40) -> Gate:
    return Gate(slots, room=room, lease_s=LEASE_S)


def sagas(count: int) -> list[Any]:
    return [object() for _ in range(count)]


def fly(gate: Gate, name: str, count: int = 1, policy: Policy = FREE) -> list[Flight]:
    """Send as many of these calls as the gate lets through."""
    allowed = [gate.ask(name, policy) for _ in range(count)].count(GO)
    return [gate.take_off(name) for _ in range(allowed)]


def wait(gate: Gate, name: str, held: list[Any], policy: Policy = FREE) -> list[float]:
    """Let sagas ask; those that may wait do so. Returns what they were told."""
    told = []
    for saga in held:
        told.append(gate.ask(name, policy))
        if told[-1] == WAIT_HERE:
            gate.wait(name, saga)
        elif told[-1] == GO:
            gate.take_off(name)
    return told


def be_slow(gate: Gate, name: str) -> None:
    [flight] = fly(gate, name)
    gate.land(flight, 2.0, DONE)


def call_up(gate: Gate) -> list[Any]:
    called = gate.call_up()
    for saga in called:
        gate.forget(saga)
    return called


def test_a_participant_alone_takes_every_slot() -> None:
    gate = make_gate(slots=8)

    assert len(fly(gate, "Bank", 20)) == 8


def test_participants_that_want_slots_share_them() -> None:
    gate = make_gate(slots=8)
    banks = fly(gate, "Bank", 8)
    assert fly(gate, "Stock", 8) == []

    for flight in banks[:6]:
        gate.land(flight, 0.01, DONE)
    gate.call_up()

    assert len(fly(gate, "Bank", 8)) == 4
    assert len(fly(gate, "Stock", 8)) == 2
    for flight in banks[6:]:
        gate.land(flight, 0.01, DONE)
    gate.call_up()
    assert fly(gate, "Bank", 8) == []
    assert len(fly(gate, "Stock", 8)) == 2


def test_a_slow_participant_takes_no_slot_of_the_others() -> None:
    gate = make_gate(slots=8)
    be_slow(gate, "Bank")

    assert len(fly(gate, "Bank", 20)) == 8
    assert len(fly(gate, "Stock", 20)) == 8


def test_a_participant_that_becomes_slow_frees_the_slots_of_the_others() -> None:
    gate = make_gate(slots=8)
    for flight in fly(gate, "Bank", 8):
        flight.sent_at -= SLOW_S
    assert fly(gate, "Stock", 8) == []

    gate.call_up()

    assert (gate.prompt, gate.slow) == (0, 8)
    assert len(fly(gate, "Stock", 8)) == 8
    assert fly(gate, "Bank", 8) == []


def test_a_slot_that_was_reserved_and_not_used_is_free_again() -> None:
    gate = make_gate(slots=1)
    assert gate.ask("Bank", FREE) == GO
    assert gate.ask("Bank", FREE) == WAIT_HERE

    gate.release("Bank")

    assert gate.ask("Bank", FREE) == GO


def test_sagas_of_a_prompt_participant_wait_here_and_go_in_their_order() -> None:
    gate = make_gate(slots=2)
    first, _ = fly(gate, "Bank", 2)
    held = sagas(10)

    assert set(wait(gate, "Bank", held)) == {WAIT_HERE}
    assert call_up(gate) == []
    assert not gate.is_pressing()
    gate.land(first, 0.01, DONE)

    assert gate.is_pressing()
    assert call_up(gate) == held[:1]


def test_sagas_of_a_slow_participant_are_given_back_one_behind_the_other() -> None:
    gate = make_gate(slots=4, room=40)
    be_slow(gate, "Bank")
    fly(gate, "Bank", 4)

    told = wait(gate, "Bank", sagas(20))

    # Four calls of two seconds: four sagas have their turn within two seconds.
    assert told[:4] == [WAIT_HERE] * 4
    later = told[4:]
    assert all(0.1 <= seconds < 60 for seconds in later)
    assert later == sorted(later)
    assert later[-1] > 3


def test_sagas_are_given_back_when_their_participant_becomes_slow() -> None:
    gate = make_gate(slots=4, room=40)
    flights = fly(gate, "Bank", 4)
    held = sagas(10)
    wait(gate, "Bank", held)
    for flight in flights:
        flight.sent_at -= 1.9

    called = call_up(gate)

    # The first keep their places.
    assert called == held[4:]
    assert all(GO < seconds < 60 for seconds in wait(gate, "Bank", called))


def test_many_sagas_that_are_given_back_do_not_come_at_once() -> None:
    gate = make_gate(slots=1, room=40)
    be_slow(gate, "Bank")
    fly(gate, "Bank", 1)

    told = wait(gate, "Bank", sagas(2_000))

    later = [seconds for seconds in told if seconds != WAIT_HERE]
    assert max(later) < 180
    assert max(sum(int(seconds) == second for seconds in later) for second in range(180)) < 200


def test_sagas_that_were_given_back_are_called_when_there_are_slots() -> None:
    gate = make_gate(slots=1, room=40)
    be_slow(gate, "Bank")
    [flight] = fly(gate, "Bank", 1)
    lined = line_up(gate, "Bank", 5)
    assert gate.recall() == []
    assert not gate.has_recalls()

    gate.land(flight, 2.0, DONE)

    assert gate.has_recalls()
    assert gate.recall() == lined[:1]
    assert gate.recall() == lined[1:2]


def line_up(gate: Gate, name: str, count: int) -> list[Lined]:
    lined = [Lined(uuid.uuid4(), 1, 2) for _ in range(count)]
    for each in lined:
        gate.line_up(name, each)
    return lined


def test_one_saga_is_called_to_look_whether_a_breaker_closes_and_then_all() -> None:
    gate = make_gate(slots=8)
    fly_out(gate, BROKEN, times=3)
    lined = line_up(gate, "Bank", 8)
    assert gate.recall() == []
    let_redis_pass(11, "Bank")
    gate._bulkheads["Bank"].ask_at = 0

    assert gate.recall() == lined[:1]
    wait(gate, "Bank", sagas(1), THREE_IN_A_ROW)
    call_up(gate)
    [probe] = fly(gate, "Bank", 1, THREE_IN_A_ROW)
    assert gate.recall() == []
    gate.land(probe, 0.01, DONE)
    gate.call_up()

    assert gate.recall() == lined[1:]


def test_a_policy_that_changes_is_asked_about_anew() -> None:
    gate = make_gate(slots=8)
    fly_out(gate, BROKEN, times=3)
    lined = line_up(gate, "Bank", 3)
    reset = Policy(breaker=THREE_IN_A_ROW.breaker._replace(reset_at=1_700_000_000.0))

    gate.obey(lambda name: reset)
    gate.call_up()

    assert gate.recall() == lined


def test_waiting_sagas_of_one_participant_leave_room_for_others() -> None:
    gate = make_gate(slots=6, room=40)
    for name in ("Bank", "Stock", "Courier"):
        for flight in fly(gate, name, 2):
            gate.land(flight, 0.2, DONE)
        fly(gate, name, 2)
        gate.call_up()
    for name in ("Bank", "Stock", "Courier"):
        wait(gate, name, sagas(100))

    # Half of the room, and for each of them what is sent at once anyway.
    assert gate.waiting <= 40 // 2 + 3 * 2


def test_a_limited_call_is_sent_when_the_other_workers_leave_it() -> None:
    policy = Policy(max_concurrency=3)
    one, two = make_gate(), make_gate()
    held = sagas(3)
    assert set(wait(one, "Bank", held, policy)) == {WAIT_HERE}

    assert call_up(one) == held
    flights = fly(one, "Bank", 3, policy)
    assert len(flights) == 3
    wait(two, "Bank", sagas(1), policy)
    assert call_up(two) == []

    one.land(flights[0], 0.01, DONE)
    one.settle()
    two._bulkheads["Bank"].ask_at = 0
    assert len(call_up(two)) == 1


def test_what_was_in_the_air_is_given_back_at_the_end_of_a_drive() -> None:
    policy = Policy(max_concurrency=1)
    one, two = make_gate(), make_gate()
    wait(one, "Bank", sagas(1), policy)
    call_up(one)
    for flight in fly(one, "Bank", 1, policy):
        one.land(flight, 0.01, DONE)

    one.settle()

    wait(two, "Bank", sagas(1), policy)
    assert len(call_up(two)) == 1


def test_outages_open_the_breaker_and_sagas_are_given_back_until_it_half_opens() -> None:
    gate = make_gate()
    fly_out(gate, BROKEN, times=3)

    told = wait(gate, "Bank", sagas(3), THREE_IN_A_ROW)

    assert told == sorted(told)
    assert 9 < told[0] <= 10 < told[2] < 11


def fly_out(gate: Gate, answer: Answer, *, times: int) -> None:
    """Send calls, and let all of them end so; the breaker of a new participant is read first."""
    wait(gate, "Bank", sagas(1), THREE_IN_A_ROW)
    call_up(gate)
    for flight in fly(gate, "Bank", times, THREE_IN_A_ROW):
        gate.land(flight, 0.01, answer)
    gate.call_up()


def test_a_breaker_opened_by_another_worker_is_known_before_the_first_call() -> None:
    fly_out(make_gate(), BROKEN, times=3)
    gate = make_gate()

    assert wait(gate, "Bank", sagas(2), THREE_IN_A_ROW) == [WAIT_HERE, WAIT_HERE]
    called = call_up(gate)

    assert len(called) == 2
    assert all(seconds > 9 for seconds in wait(gate, "Bank", called, THREE_IN_A_ROW))


def test_one_of_two_workers_sends_the_one_probe() -> None:
    one, two = make_gate(), make_gate()
    fly_out(one, BROKEN, times=3)
    let_redis_pass(11, "Bank")
    wait(two, "Bank", sagas(4), THREE_IN_A_ROW)

    [saga] = call_up(two)
    [probe] = fly(two, "Bank", 4, THREE_IN_A_ROW)
    one._bulkheads["Bank"].ask_at = 0
    wait(one, "Bank", sagas(4), THREE_IN_A_ROW)
    assert call_up(one) == []

    assert saga is not None
    assert probe.is_probe
    two.land(probe, 0.01, DONE)
    assert len(call_up(two)) == 3
    assert len(fly(two, "Bank", 8, THREE_IN_A_ROW)) == 8


def test_business_failures_leave_the_breaker_closed() -> None:
    gate = make_gate()

    fly_out(gate, Answer("failed", error={"class": "HTTP409"}), times=6)

    assert len(fly(gate, "Bank", 8, THREE_IN_A_ROW)) == 8


def test_at_the_end_of_a_drive_no_slow_call_is_begun() -> None:
    gate = make_gate()
    be_slow(gate, "Bank")
    gate.only_prompt = True

    assert GO < gate.ask("Bank", FREE) < WAIT_HERE
    assert gate.ask("Stock", FREE) == GO


def test_without_http_calls_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(Limits, "exchange", lambda *given: asked.append(given))
    gate = make_gate()

    assert gate.call_up() == []
    gate.settle()

    assert not gate.is_pressing()
    assert not asked
