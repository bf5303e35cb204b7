"""Orders of a test's own in the demo's shop: nobody else's keys, and failures only where asked for.

Tests share one console in any order, so each of them brings what it looks at.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any, NamedTuple
from uuid import uuid4

import urllib3

from examples.participants.faults import Faults
from examples.participants.services import SERVICES
from tests.browser.stack import ROOT, Stack, wait_until

SHOP = "ecommerce-order"
# No carrier goes there: what was done for such an order is undone.
NOWHERE = "AQ"
MOST_ATTEMPTS = 5


class Order(NamedTuple):
    """A saga of the shop."""

    stack: Stack
    id: str
    key: str

    @property
    def page(self) -> str:
        return f"{self.stack.address}sagas/{self.id}/"

    def wait_for(self, status: str) -> Order:
        """Return once the saga has this status."""
        wait_until(lambda: self.stack.api(f"sagas/{self.id}/")["status"] == status)
        return self

    def effects(self) -> dict[str, str]:
        """Return what stands at the participants: status by step."""
        url = f"{self.stack.participants()}/_effects?business_key={self.key}"
        rows = urllib3.request("GET", url).json()["effects"]
        return {row["step"]: row["status"] for row in rows}


def place(stack: Stack, *, country: str = "KR") -> Order:
    """Order something that none of the demo's own failures befalls."""
    key = quiet_key()
    body = {"definition": SHOP, "business_key": key, "input": {"country": country}}
    return Order(stack, stack.api("sagas/", body)["id"], key)


def place_stuck(stack: Stack) -> Order:
    """Order something that cannot be delivered and whose stock cannot be released; it failed."""
    faults = f"{stack.participants()}/_faults"
    key = quiet_key()
    script = urllib3.request("GET", faults).json()["scripted"]
    broken = {"business_key": key, "action": "releaseStock", "fail": "broken"}
    urllib3.request("POST", faults, json={"scripted": [*script, broken]})
    body = {"definition": SHOP, "business_key": key, "input": {"country": NOWHERE}}
    return Order(stack, stack.api("sagas/", body)["id"], key).wait_for("failed")


def mend(order: Order) -> None:
    """Let the warehouse answer for this order again."""
    faults = f"{order.stack.participants()}/_faults"
    script = urllib3.request("GET", faults).json()["scripted"]
    kept = [entry for entry in script if entry["business_key"] != order.key]
    urllib3.request("POST", faults, json={"scripted": kept})


def release_by_hand(order: Order) -> None:
    """Do what the operator does on the telephone: the warehouse acts without the engine."""
    body = {
        "saga_id": order.id,
        "business_key": order.key,
        "step": "reserveInventory",
        "action": "releaseStock",
        "direction": "backward",
        "attempt": 1,
        "input": {},
        "outputs": {},
    }
    answer = urllib3.request(
        "POST",
        f"{order.stack.participants()}/InventoryService/releaseStock",
        body=json.dumps(body),
        headers={"Idempotency-Key": f"{order.id}/reserveInventory/by-hand"},
    )
    assert answer.status == 200, answer.data


def quiet_key() -> str:
    """Return a new business key that the demo's rules leave alone."""
    faults = Faults(json.loads((ROOT / "examples" / "demo-faults.json").read_text()))
    stem = uuid4().hex[:8]
    return next(key for n in count() if is_quiet(faults, key := f"TEST-{stem}-{n}"))


def is_quiet(faults: Faults, key: str) -> bool:
    calls: list[tuple[Any, str]] = [
        (faults.rule(service, name), name)
        for service, actions in SERVICES.items()
        for action in actions
        for name in (action.name, action.undo or "")
    ]
    return not any(
        faults.choose(rule, (key, name), attempt, "1")
        for rule, name in calls
        for attempt in range(1, MOST_ATTEMPTS + 1)
    )
