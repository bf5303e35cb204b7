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


def make_start(key: str, kind: str, number: int) -> dict[str, Any]:
    return {
        "definition": kind,
        "business_key": key,
        "idempotency_key": key,
        "input": {
            "first": number * 7 % SHELVES,
            "second": number * 5 % SHELVES,
            "quantity": 1 + number % 9,
        },
    }


def buy(api: Api, record: Record, workday: Workday, customer: int) -> None:
    for number in itertools.count():
        if workday.is_over:
            return
        kind = KINDS[(number + customer) % len(KINDS)]
        key = f"{kind}-{customer}-{number}"
        reply = api.post("sagas/", make_start(key, kind, number))
        if reply.is_done:
            record.keep(start=key, saga=reply.data["id"])
        else:
            record.keep(surprise=f"the start {key} was refused: {reply.data}")
        time.sleep(PAUSE_S)


def main(address: str, token: str, file: Path) -> None:
    workday, record = Workday(), Record(file)
    with ThreadPoolExecutor(CUSTOMERS) as crowd:
        for done in [
            crowd.submit(buy, Api(address, token, record), record, workday, customer)
            for customer in range(CUSTOMERS)
        ]:
            done.result()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
