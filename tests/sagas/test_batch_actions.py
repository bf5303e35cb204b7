"""Callables that take the commands of many sagas at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from sagas.core.definition import Step
from sagas.core.verbs import Verb
from sagas.engine import rounds
from sagas.engine.driver import Driver
from sagas.models import Saga
from sagas.participants import local
from sagas.participants.calls import BusinessFailure, Call
from tests.builders import QUICK, drive_on, journal_of, make_saga, make_step, store
from tests.sagas.rivals import order_from_elsewhere

pytestmark = pytest.mark.django_db


class Stock:
    """Reserves for many orders in one statement; what it must fail for is in `refuses`."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.refuses: dict[str, Exception] = {}
        self.breaks: Callable[[list[Call]], Any] = lambda calls: None

    def reserve(self, calls: list[Call]) -> Any:
        keys = [call.business_key for call in calls]
        self.batches.append(keys)
        Group.objects.bulk_create(Group(name=key) for key in keys if key not in self.refuses)
        answer = self.breaks(calls)
        if answer is not None:
            return answer
        return [self.refuses.get(key) or {"reserved": key} for key in keys]


@pytest.fixture
def stock() -> Stock:
    stock = Stock()
    local.batch_action("Service", "doA")(stock.reserve)
    local.register("Service", "undoA", lambda call: None)
    return stock


def start_orders(count: int, *steps: Step) -> list[Saga]:
    definition = store(*(steps or (make_step("A", retry=QUICK),)))
    return [make_saga(definition, key=f"order-{number}") for number in range(count)]


def statuses(sagas: list[Saga]) -> list[str]:
    for saga in sagas:
        saga.refresh_from_db()
    return [saga.status for saga in sagas]


def reserved() -> int:
    return Group.objects.filter(name__startswith="order-").count()


def test_fifty_sagas_are_one_call_of_the_callable(driver: Driver, stock: Stock) -> None:
    sagas = start_orders(50)

    driver.drive()

    assert [len(batch) for batch in stock.batches] == [50]
    assert statuses(sagas) == ["completed"] * 50
    assert reserved() == 50
    outputs = {saga.business_key: saga.state["steps"][0]["output"] for saga in sagas}
    assert outputs == {key: {"reserved": key} for key in outputs}


def test_one_refused_command_compensates_its_own_saga_only(driver: Driver, stock: Stock) -> None:
    stock.refuses = {"order-7": BusinessFailure("Sold out.", code="sold_out")}
    sagas = start_orders(50)

    driver.drive()

    assert [len(batch) for batch in stock.batches] == [50]
    assert [s for s in statuses(sagas) if s != "completed"] == ["compensated"]
    assert sagas[7].state["cause"]["class"] == "sold_out"
    assert journal_of(sagas[7])[0] == "step_failed A"
    assert reserved() == 49


def test_any_other_error_of_one_command_is_tried_again_alone(driver: Driver, stock: Stock) -> None:
    stock.refuses = {"order-1": ValueError("away")}
    sagas = start_orders(3)
    driver.drive()
    assert statuses(sagas) == ["completed", "running", "completed"]

    stock.refuses = {}
    drive_on(driver, sagas[1])

    assert statuses(sagas) == ["completed"] * 3
    assert [len(batch) for batch in stock.batches] == [3, 1]


def raise_for(key: str) -> Callable[[list[Call]], None]:
    def breaks(calls: list[Call]) -> None:
        if any(call.business_key == key for call in calls):
            raise BusinessFailure("One of them is poison.")

    return breaks


def break_the_transaction_for(key: str) -> Callable[[list[Call]], None]:
    def breaks(calls: list[Call]) -> None:
        if any(call.business_key == key for call in calls):
            Group.objects.create(name=calls[0].business_key)

    return breaks


def answer_too_little_for(key: str) -> Callable[[list[Call]], list[Any] | None]:
    def breaks(calls: list[Call]) -> list[Any] | None:
        return [] if any(call.business_key == key for call in calls) else None

    return breaks


def answer_what_is_no_json_for(key: str) -> Callable[[list[Call]], list[Any]]:
    def breaks(calls: list[Call]) -> list[Any]:
        return [{1} if call.business_key == key else {} for call in calls]

    return breaks


@pytest.mark.parametrize(
    "breaks",
    [
        raise_for,
        break_the_transaction_for,
        answer_too_little_for,
        answer_what_is_no_json_for,
    ],
)
def test_a_batch_that_fails_as_a_whole_is_tried_one_by_one(
    driver: Driver, stock: Stock, breaks: Callable[[str], Callable[[list[Call]], Any]]
) -> None:
    """Edge case 17."""
    stock.breaks = breaks("order-2")
    sagas = start_orders(5, make_step("A"))

    driver.drive()

    assert [len(batch) for batch in stock.batches] == [5, 1, 1, 1, 1, 1]
    assert statuses(sagas) == ["completed"] * 2 + ["compensated"] + ["completed"] * 2
    assert reserved() == 4


def test_what_a_broken_batch_wanted_to_do_on_commit_is_done_once(
    driver: Driver, stock: Stock, django_capture_on_commit_callbacks: Any
) -> None:
    done: list[str] = []

    def breaks(calls: list[Call]) -> None:
        for call in calls:
            transaction.on_commit(lambda key=call.business_key: done.append(key))
        raise_for("order-1")(calls)

    stock.breaks = breaks
    start_orders(3, make_step("A"))

    with django_capture_on_commit_callbacks(execute=True):
        driver.drive()

    assert sorted(done) == ["order-0", "order-2"]


def test_a_batch_holds_no_more_commands_than_its_size(driver: Driver, stock: Stock) -> None:
    local.batch_action("Service", "doA", size=20)(stock.reserve)
    sagas = start_orders(50)

    driver.drive()

    assert [len(batch) for batch in stock.batches] == [20, 20, 10]
    assert statuses(sagas) == ["completed"] * 50


def test_batches_of_one_definition_go_step_by_step(driver: Driver, stock: Stock) -> None:
    ships: list[int] = []

    @local.batch_action("Service", "doB")
    def ship(calls: list[Call]) -> list[Any]:
        ships.append(len(calls))
        return [call.outputs["A"] for call in calls]

    local.register("Service", "doC", lambda call: None)
    sagas = start_orders(10, make_step("A"), make_step("B"), make_step("C"))

    driver.drive()

    assert ([len(batch) for batch in stock.batches], ships) == ([10], [10])
    assert statuses(sagas) == ["completed"] * 10
    assert sagas[3].state["steps"][1]["output"] == {"reserved": "order-3"}


def test_a_compensation_may_take_many_commands_too(driver: Driver, stock: Stock) -> None:
    released: list[int] = []

    @local.batch_action("Service", "undoA")
    def release(calls: list[Call]) -> list[None]:
        released.append(len(calls))
        return [None] * len(calls)

    @local.action("Service", "doB")
    def refuse(call: Call) -> None:
        raise BusinessFailure("No.")

    sagas = start_orders(10, make_step("A"), make_step("B"))

    driver.drive()

    assert released == [10]
    assert statuses(sagas) == ["compensated"] * 10


@pytest.mark.django_db(transaction=True)
def test_a_verb_on_one_saga_of_a_batch_takes_back_the_batch_and_the_others_are_done_once(
    driver: Driver, stock: Stock
) -> None:
    """Edge case 20."""
    local.register("Service", "doZ", lambda call: None)
    sagas = start_orders(3, make_step("Z"), make_step("A"))

    def pause_one(calls: list[Call]) -> None:
        if len(stock.batches) == 1:
            sagas[1].refresh_from_db()
            order_from_elsewhere(Verb.PAUSE, sagas[1])

    stock.breaks = pause_one

    driver.drive()

    assert [len(batch) for batch in stock.batches] == [3, 2]
    assert statuses(sagas) == ["completed", "running", "completed"]
    assert set(Group.objects.filter(name__startswith="order-").values_list("name", flat=True)) == {
        "order-0",
        "order-2",
    }


@pytest.mark.django_db(transaction=True)
def test_a_batch_for_which_there_is_no_time_left_gets_a_transaction_of_its_own(
    driver: Driver, stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions: list[int] = []

    def take_all_the_time(calls: list[Call]) -> None:
        begun_at = time.monotonic()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text")
            transactions.append(cursor.fetchone()[0])
        while time.monotonic() < begun_at + rounds.PERFORM_S:
            pass

    local.batch_action("Service", "doA", size=2)(stock.reserve)
    stock.breaks = take_all_the_time
    monkeypatch.setattr(rounds, "PERFORM_S", 0.05)
    sagas = start_orders(4)

    driver.drive()

    assert statuses(sagas) == ["completed"] * 4
    assert len(transactions) == len(stock.batches) == len(set(transactions)) > 1


def test_a_batch_action_called_with_one_command_answers_for_it(stock: Stock) -> None:
    batch = local.batch_action("Service", "other")(lambda calls: [BusinessFailure("No.")])

    with pytest.raises(BusinessFailure, match="No"):
        batch(None)


def test_a_batch_of_no_commands_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        local.batch_action("Service", "doA", size=0)(lambda calls: [])
