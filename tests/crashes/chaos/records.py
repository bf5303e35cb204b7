"""What customers and operators were promised, compared with what is stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sagas.models import JournalEntry, Saga

# The entry of the journal that each order leaves.
KINDS = {
    "retry": "retried",
    "compensate": "compensation_ordered",
    "cancel": "cancelled",
    "pause": "paused",
    "resume": "resumed",
    "skip": "step_skipped",
    "rewind": "rewind_ordered",
    "mark_done": "marked_done",
    "abandon": "abandoned",
    "approve": "approved",
    "reject": "rejected",
    "signal": "signalled",
}


class Promises(NamedTuple):
    """The records of a run: {"start": key, "saga": id}; {"order": verb, "saga": id,
    "request": id, "done": bool}; {"surprise": what nobody should have been answered}."""

    starts: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    surprises: list[str]


def read_promises(*files: Path) -> Promises:
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return Promises(
        [line for line in lines if "start" in line],
        [line for line in lines if "order" in line],
        [line["surprise"] for line in lines if "surprise" in line],
    )


def broken_promises(promises: Promises) -> Iterator[str]:
    """Give every start that is not there once, and every order that the journal does not tell."""
    yield from (f"surprise: {what}" for what in promises.surprises)
    yield from _starts(promises.starts)
    yield from _orders(promises.orders)


def _starts(starts: list[dict[str, Any]]) -> Iterator[str]:
    # A child's key is not that of a start.
    stored = [
        (saga.business_key, str(saga.pk))
        for saga in Saga.objects.only("business_key", "state").iterator()
        if "parent" not in saga.state
    ]
    promised = {(start["start"], start["saga"]) for start in starts}
    yield from (f"the start {key} is lost: {pk}" for key, pk in promised - set(stored))
    yield from (f"nobody was told of {key}: {pk}" for key, pk in set(stored) - promised)
    times = Counter(key for key, _ in stored)
    yield from (f"{key} was started {number} times" for key, number in times.items() if number > 1)


def _orders(orders: list[dict[str, Any]]) -> Iterator[str]:
    told: Counter[tuple[str, str, str]] = Counter()
    for row in JournalEntry.objects.filter(kind__in=KINDS.values()).iterator():
        request = row.data.get("message_id") or row.data.get("reason", "")
        told[str(row.saga_id), row.kind, request] += 1
    for order in orders:
        entry = order["saga"], KINDS[order["order"]], order["request"]
        if told[entry] != order["done"]:
            was = "acknowledged" if order["done"] else "refused"
            yield f"{order['request']} of {order['saga']} was {was}, the journal has {told[entry]}"
