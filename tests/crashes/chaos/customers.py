"""Customers: `python -m tests.crashes.chaos.customers ADDRESS TOKEN RECORD`.

They start a saga of each kind in turn until they are told to stop. A start is repeated under its
idempotency key until it is acknowledged.
"""

from __future__ import annotations

import itertools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.crashes.chaos.client import Api, Record, Workday

# So many at once; on two cores workers keep up with this pace.
CUSTOMERS = 2
PAUSE_S = 0.15
# Few enough that sagas meet at their locks, and wait for each other in circles now and then.
SHELVES = 12
TENANTS = ("acme", "globex", "initech")
PRIORITIES = ("normal", "normal", "high", "low")
# One start in ten is one of several sagas at once.
BULK, BULK_EVERY = 4, 10
KINDS = (
    "booking",
    "picking",
    "branches",
    "assembly",
    "delivery",
    "claim",
    "shelves",
    "order",
    "shipment",
)


def make_start(key: str, number: int) -> dict[str, Any]:
    return {
        "business_key": key,
        "idempotency_key": key,
        "input": {
            "first": number * 7 % SHELVES,
            "second": number * 5 % SHELVES,
            "quantity": 1 + number % 9,
        },
        "tenant": TENANTS[number % len(TENANTS)],
        "priority": PRIORITIES[number % len(PRIORITIES)],
    }


class Customer:
    def __init__(self, api: Api, record: Record, name: int) -> None:
        self._api, self._record, self._name = api, record, name

    def buy(self, workday: Workday) -> None:
        for number in itertools.count():
            if workday.is_over:
                return
            kind = KINDS[(number + self._name) % len(KINDS)]
            if number % BULK_EVERY:
                self._buy_one(kind, number)
            else:
                self._buy_many(kind, number)
            time.sleep(PAUSE_S)

    def _buy_one(self, kind: str, number: int) -> None:
        key = f"{kind}-{self._name}-{number}"
        reply = self._api.post("sagas/", {"definition": kind} | make_start(key, number))
        self._keep(key, reply.data, was_started=reply.is_done)

    def _buy_many(self, kind: str, number: int) -> None:
        """Start several in one transaction, by one request."""
        keys = [f"{kind}-{self._name}-{number}-{item}" for item in range(BULK)]
        starts = [make_start(key, number + item) for item, key in enumerate(keys)]
        reply = self._api.post("sagas/bulk/", {"definition": kind, "sagas": starts})
        for key, result in zip(keys, reply.data["results"], strict=True):
            self._keep(key, result, was_started=result["outcome"] in ("created", "repeated"))

    def _keep(self, key: str, answer: dict[str, Any], *, was_started: bool) -> None:
        if was_started:
            self._record.keep(start=key, saga=answer["id"])
        else:
            self._record.keep(surprise=f"the start {key} was refused: {answer}")


def main(address: str, token: str, file: Path) -> None:
    workday, record = Workday(), Record(file)
    customers = [Customer(Api(address, token, record), record, name) for name in range(CUSTOMERS)]
    with ThreadPoolExecutor(CUSTOMERS) as crowd:
        for done in [crowd.submit(customer.buy, workday) for customer in customers]:
            done.result()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
