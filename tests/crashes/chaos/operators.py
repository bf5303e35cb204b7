"""Operators: `python -m tests.crashes.chaos.operators ADDRESS TOKEN RECORD SEED`.

They tell sagas what has happened, decide, and mend what has failed; and some of them pause, cancel
and take back what was going well. Told to stop, they leave the latter, and go home when nothing
moves any more and nothing waits for them. Every order is repeated under its request id until it is
answered.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.crashes.chaos.client import Api, Record, Reply, Workday

PAUSE_S = 0.3
# What deliveries wait for.
SIGNAL = "picked_up"
# All that fail; what is left as it is stays in the list.
PAGE = 200
# After so many orders a failed saga is left as it is.
PATIENCE = 4
# How gladly each is given to a failed saga.
MENDING = {
    "retry": 8,
    "edit": 1,
    "compensate": 2,
    "skip": 1,
    "rewind": 1,
    "mark_done": 2,
}
# How often they do what nobody needs, each time they look.
MEDDLING = {"pause": 0.3, "cancel": 0.4, "compensate": 0.1}
# How often several failed ones are retried by one order.
ALL_AT_ONCE = 0.5
# Failed ones of these hold up others: their parents, and whoever wants their locks.
HOLD_UP = ("parts", "shelves")


class Operator:
    """Looks at the lists of the console, and gives orders."""

    def __init__(self, api: Api, record: Record, chance: random.Random) -> None:
        self._api, self._record, self._chance = api, record, chance
        self._numbers = itertools.count(1)
        self._signalled: set[str] = set()
        self._orders: Counter[str] = Counter()

    def look_after(self) -> bool:
        """Do what sagas wait for; say whether there was anything, or something moves."""
        return any([self._signal(), self._resume(), self._decide(), self._mend(), self._moving()])

    def meddle(self) -> None:
        for verb, often in MEDDLING.items():
            status = "completed" if verb == "compensate" else "running"
            if self._chance.random() < often and (found := self._list(status=status)):
                saga = self._chance.choice(found)
                self._give(saga, verb, version=saga["version"])

    def _list(self, **filters: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.get("sagas/", limit=PAGE, **filters)["results"]
        return found

    def _moving(self) -> bool:
        return bool(self._list(status="running") or self._list(status="compensating"))

    def _signal(self) -> bool:
        found = self._list(status="running", definition="delivery")
        for saga in (saga for saga in found if saga["id"] not in self._signalled):
            self._signalled.add(saga["id"])
            message = f"{SIGNAL} {saga['id']}"
            body = {"name": SIGNAL, "data": {"by": "courier"}, "message_id": message}
            reply = self._api.post(f"sagas/{saga['id']}/signals/", body)
            self._keep(reply, saga, "signal", message)
        return bool(found)

    def _resume(self) -> bool:
        found = self._list(paused="true")
        for saga in found:
            # Not at once: what is paused for a while meets more.
            if self._chance.random() < 0.3:
                self._give(saga, "resume")
        return bool(found)

    def _decide(self) -> bool:
        found = self._list(waiting="approval")
        for saga in found:
            verb = "approve" if self._chance.random() < 0.8 else "reject"
            self._give(saga, verb, step="Decision")
        return bool(found)

    def _mend(self) -> bool:
        """Try what the console allows; say whether anything has been ordered."""
        failed = self._list(status="failed")
        left = [saga for saga in failed if self._orders[saga["id"]] >= PATIENCE]
        in_the_way = [saga for saga in left if saga["definition"] in HOLD_UP]
        for saga in in_the_way:
            self._give(saga, "abandon")
        hopeful = [saga for saga in failed if saga not in left]
        self._orders.update(saga["id"] for saga in hopeful)
        if len(hopeful) > 1 and self._chance.random() < ALL_AT_ONCE:
            self._retry_all(hopeful)
        else:
            for saga in hopeful:
                self._give_any(self._api.get(f"sagas/{saga['id']}/"))
        return bool(hopeful or in_the_way)

    def _retry_all(self, sagas: list[dict[str, Any]]) -> None:
        request = f"retry all {next(self._numbers)}"
        items = [{"id": saga["id"], "version": saga["version"]} for saga in sagas]
        body = {"verb": "retry", "reason": request, "request_id": request, "items": items}
        for result in self._api.post("sagas/verbs/", body).data["results"]:
            done = result["outcome"] == "done"
            self._record.keep(order="retry", saga=result["id"], request=request, done=done)

    def _give_any(self, saga: dict[str, Any]) -> None:
        legal = [verb for verb in MENDING if ("retry" if verb == "edit" else verb) in saga["verbs"]]
        if not legal:
            return
        [verb] = self._chance.choices(legal, [MENDING[verb] for verb in legal])
        details: dict[str, Any] = {"version": saga["version"]}
        if verb == "edit":
            verb, details["input"] = "retry", {"edited": saga["version"], "quantity": 1}
        elif verb in ("mark_done", "skip", "rewind"):
            details["step"] = self._chance.choice(fitting_steps(verb, saga["steps"]))
        if verb == "mark_done":
            details["evidence"] = "seen on the shelf"
        self._give(saga, verb, **details)

    def _give(self, saga: dict[str, Any], verb: str, **details: Any) -> None:
        """Give an order; its reason is its request id, so that the journal tells it apart."""
        request = f"{verb} {next(self._numbers)}"
        body = details | {"reason": request, "request_id": request}
        path = f"sagas/{saga['id']}/{verb.replace('_', '-')}/"
        self._keep(self._api.post(path, body), saga, verb, request)

    def _keep(self, reply: Reply, saga: dict[str, Any], verb: str, request: str) -> None:
        self._record.keep(order=verb, saga=saga["id"], request=request, done=reply.is_done)


def fitting_steps(verb: str, steps: list[dict[str, Any]]) -> list[str]:
    """Return the steps that the verb may be about, or all of them; the console decides."""
    wanted = {
        "mark_done": ("compensation_failed",),
        "skip": ("failed", "unknown"),
        "rewind": ("succeeded", "failed"),
    }[verb]
    names = [step["name"] for step in steps]
    return [step["name"] for step in steps if step["status"] in wanted] or names


def main(address: str, token: str, file: Path, seed: int) -> None:
    workday, record = Workday(), Record(file)
    operator = Operator(Api(address, token, record), record, random.Random(seed))
    while operator.look_after() or not workday.is_over:
        if not workday.is_over:
            operator.meddle()
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
