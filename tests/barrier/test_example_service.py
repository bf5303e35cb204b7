"""Sagas through a Django service of its own, in a process of its own, over HTTP."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sagas import catalogue
from sagas.core.definition import OnFailure
from sagas.core.verbs import Verb
from sagas.definitions.yaml_format import read_yaml
from sagas.engine.driver import Driver
from sagas.models import Saga
from sagas.verbs import Details, Order, perform
from tests.builders import let_pass, make_participant, make_saga
from tests.sagas.http_service import LOST, Got, HttpService, Reply, http_service

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db


PASSED_ON = ("Idempotency-Key", "Sagadesk-Undoes", "Content-Type")
ACTIONS = ("reserveItems", "releaseItems", "packParcel", "unpackParcel")


class Stock:
    """The running service behind a network that can lose and hold back what passes it."""

    def __init__(self, network: HttpService, address: str, database: Path) -> None:
        self._network = network
        self._address = address
        self._database = database
        for action in ACTIONS:
            network.plays(action, *[self.pass_on] * 9)

    def meets(self, action: str, *outcomes: Any) -> None:
        """Let the first calls of an action come to this; the others are passed on."""
        self._network.plays(action, *outcomes, *[self.pass_on] * 9)

    def pass_on(self, got: Got) -> Reply:
        response = urllib3.request(
            "POST",
            f"{self._address}/{got.action}",
            body=json.dumps(got.body),
            headers={name: got.headers[name] for name in PASSED_ON if name in got.headers},
            retries=False,
        )
        return Reply(response.status, response.data)

    def lose_answer(self, got: Got) -> Reply:
        self.pass_on(got)
        return LOST

    def first_call(self, action: str) -> Got:
        return next(got for got in self._network.requests if got.action == action)

    def reserved(self) -> list[Any]:
        return self._select('SELECT "order", pieces, released FROM stock_reservation')

    def parcels(self) -> list[Any]:
        return self._select('SELECT "order", unpacked FROM stock_parcel')

    def empty(self) -> None:
        for table in ("stock_reservation", "stock_parcel", "sagas_barrier_handledcall"):
            self._select(f"DELETE FROM {table}")

    def _select(self, query: str) -> list[Any]:
        connection = sqlite3.connect(self._database)
        try:
            with connection:
                return sorted(connection.execute(query).fetchall())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A service in a process of its own: its address and its database."""
    folder = tmp_path_factory.mktemp("stock")
    command = [sys.executable, "-m", "examples.django_service", "--port", "0", "--data", folder]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        addresses = (line.strip() for line in process.stdout if line.startswith("http://"))
        yield next(addresses), folder / "stock.sqlite3"
        process.terminate()


@pytest.fixture
def stock(served: tuple[str, Path]) -> Iterator[Stock]:
    with http_service() as network:
        stock = Stock(network, *served)
        stock.empty()
        make_participant("StockService", transport="http", address=network.address)
        yield stock


def start_packing(*inputs: dict[str, Any], **overrides: Any) -> list[Saga]:
    file = PROJECT / "examples" / "django_service" / "packing.yaml"
    definition = read_yaml(file.read_text(), filename=file.name)._replace(**overrides)
    catalogue.store_definition(definition)
    return [
        make_saga(definition, key=f"order-{number}", input=input)
        for number, input in enumerate(inputs, 1)
    ]


def statuses(sagas: list[Saga]) -> list[str]:
    for saga in sagas:
        saga.refresh_from_db()
    return [saga.status for saga in sagas]


def drive_through_pauses(driver: Driver, sagas: list[Saga]) -> None:
    """Drive until every pause between attempts is over."""
    for _ in range(5):
        driver.drive()
        for saga in sagas:
            let_pass(saga, 10)


def test_sagas_run_through_the_example_service(stock: Stock, driver: Driver) -> None:
    mug = {"sku": "MUG", "pieces": 60}
    sagas = start_packing(
        mug | {"gift": True}, {"sku": "CUP", "pieces": 101}, {"sku": "JUG", "pieces": 1}
    )

    driver.drive()

    assert statuses(sagas) == ["compensated", "compensated", "completed"]
    assert stock.reserved() == [("order-1", 60, 1), ("order-3", 1, 0)]
    assert stock.parcels() == [("order-3", 0)]


def test_an_answer_that_got_lost_is_asked_for_again_and_nothing_is_done_twice(
    stock: Stock, driver: Driver
) -> None:
    """Edge cases 1 and 7."""
    stock.meets("reserveItems", stock.lose_answer, stock.lose_answer)
    stock.meets("packParcel", stock.lose_answer)
    sagas = start_packing({"sku": "MUG", "pieces": 2})

    drive_through_pauses(driver, sagas)

    assert statuses(sagas) == ["completed"]
    assert stock.reserved() == [("order-1", 2, 0)]
    assert stock.parcels() == [("order-1", 0)]


def test_an_undo_whose_answer_got_lost_is_repeated_and_undoes_once(
    stock: Stock, driver: Driver
) -> None:
    """Edge case 7."""
    stock.meets("releaseItems", stock.lose_answer)
    sagas = start_packing({"sku": "MUG", "pieces": 2, "gift": True})

    drive_through_pauses(driver, sagas)

    assert statuses(sagas) == ["compensated"]
    assert stock.reserved() == [("order-1", 2, 1)]


def test_an_action_that_arrives_after_its_undo_is_refused(stock: Stock, driver: Driver) -> None:
    """Edge cases 5 and 6."""
    stock.meets("reserveItems", LOST, LOST, LOST)
    sagas = start_packing({"sku": "MUG", "pieces": 2})
    drive_through_pauses(driver, sagas)
    assert statuses(sagas) == ["compensated"]

    late = stock.pass_on(stock.first_call("reserveItems"))

    assert late.status == 409
    assert json.loads(late.body)["error"]["code"] == "undone_before"
    assert stock.reserved() == []


def test_a_step_that_never_arrived_is_done_anew_after_a_rewind(
    stock: Stock, driver: Driver
) -> None:
    """Edge cases 5 and 6: its undo finds nothing, and must not keep out what is ordered anew."""
    stock.meets("packParcel", LOST, LOST, LOST)
    [saga] = start_packing({"sku": "MUG", "pieces": 2}, on_failure=OnFailure.PARK)
    drive_through_pauses(driver, [saga])
    assert statuses([saga]) == ["failed"]
    lost = stock.first_call("packParcel")

    perform(
        Verb.REWIND,
        saga.pk,
        Order(None, "The network is mended.", "r-1"),
        Details(step="PackParcel"),
    )
    drive_through_pauses(driver, [saga])

    assert statuses([saga]) == ["completed"]
    assert stock.parcels() == [("order-1", 0)]
    late = stock.pass_on(lost)
    assert (late.status, json.loads(late.body)["error"]["code"]) == (409, "undone_before")
    assert stock.parcels() == [("order-1", 0)]
