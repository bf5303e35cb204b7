"""Participants on a free port of loopback, served by a thread of the test's own process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from examples.participants.__main__ import serving
from examples.participants.app import Participants
from examples.participants.services import SERVICES


class Reply(NamedTuple):
    status: int
    body: dict[str, Any]
    headers: dict[str, str]


class Client:
    """Calls participants the way the engine does, over one keep-alive connection."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.connection = HTTPConnection(address.removeprefix("http://"), timeout=5)

    def request(
        self,
        method: str,
        path: str,
        data: object = None,
        *,
        key: str | None = None,
        undoes: str | None = None,
    ) -> Reply:
        keys = {"Idempotency-Key": key, "Sagadesk-Undoes": undoes}
        headers = {name: value for name, value in keys.items() if value}
        body = None if data is None else json.dumps(data)
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        return Reply(response.status, json.loads(response.read()), dict(response.headers))

    def call(self, action: str = "FlightService/reserveFlight", **changes: Any) -> Reply:
        """Call an action; `generation` is what follows its idempotency key after a retry.

        `of` is that of the action which an undo takes back; None: it does not say.
        """
        generation, of = changes.pop("generation", ""), changes.pop("of", None)
        undo = action.split("/")[1].startswith(("cancel", "refund", "release"))
        data = {
            "saga_id": "saga-1",
            "business_key": "T-1",
            "step": "ReserveFlight",
            "action": action.split("/")[1],
            "direction": "backward" if undo else "forward",
            "attempt": 1,
            "input": {},
            "outputs": {},
        } | changes
        step = f"{data['saga_id']}/{data['step']}"
        key = f"{step}/{'undo' if undo else 'do'}{generation}"
        undoes = None if of is None else f"{step}/do{of}"
        return self.request("POST", f"/{action}", data, key=key, undoes=undoes)

    def undo(self, action: str = "FlightService/cancelFlightReservation", **changes: Any) -> Reply:
        return self.call(action, **changes)

    def set_faults(self, **faults: Any) -> None:
        assert self.request("POST", "/_faults", faults).status == 200

    def statuses(self, saga_id: str = "saga-1") -> list[str]:
        """Return the status of each effect of a saga."""
        effects = self.request("GET", f"/_effects?saga_id={saga_id}").body["effects"]
        return [effect["status"] for effect in effects]


def serve_in_thread(data: Path, limits: dict[str, int], started: list[Any]) -> threading.Thread:
    """Serve until `started[1]` is called; returns when `started` holds (address, stop)."""
    ready = threading.Event()

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with serving(Participants(list(SERVICES), data, limits=limits), 0) as address:
            started.extend([address, lambda: loop.call_soon_threadsafe(stop.set)])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=[run()])
    thread.start()
    assert ready.wait(10)
    return thread


@pytest.fixture
def participants(tmp_path: Path) -> Iterator[Client]:
    started: list[Any] = []
    thread = serve_in_thread(tmp_path, {"KE1": 4}, started)
    address, stop = started
    client = Client(address)
    yield client
    client.connection.close()
    stop()
    thread.join(10)
