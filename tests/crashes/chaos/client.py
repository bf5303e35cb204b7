"""A stubborn client of the API: it asks until it is answered, and keeps what it was promised."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import urllib3
from urllib3.exceptions import HTTPError

PAUSE_S = 0.2
# Shorter than the console stands still, so that requests are repeated while the first one waits.
TIMEOUT_S = 4.0
# Nobody knows what has been done; the same request again finds out.
ASK_AGAIN = (429, 500, 502, 503, 504)


class Reply(NamedTuple):
    """What the console has answered for good."""

    status: int
    data: Any

    @property
    def is_done(self) -> bool:
        return self.status < 300


class Record:
    """What was promised, one JSON object a line; the judge reads it."""

    def __init__(self, file: Path) -> None:
        self._out = file.open("w", buffering=1)

    def keep(self, **promise: Any) -> None:
        self._out.write(json.dumps(promise) + "\n")


class Api:
    """The console as a program sees it."""

    def __init__(self, address: str, token: str, record: Record) -> None:
        self._address = address
        self._record = record
        self._pool = urllib3.PoolManager(
            headers={"Authorization": f"Token {token}"}, timeout=TIMEOUT_S, retries=False
        )

    def get(self, path: str, **parameters: str | int) -> Any:
        """Return what is there."""
        return self._insist("GET", path, fields=parameters).data

    def post(self, path: str, body: dict[str, Any]) -> Reply:
        """Repeat a request until it is answered for good; its body holds what makes it one."""
        return self._insist("POST", path, json=body)

    def _insist(self, method: str, path: str, **content: Any) -> Reply:
        while True:
            try:
                answer = self._pool.request(method, f"{self._address}/api/v1/{path}", **content)
            except HTTPError:
                time.sleep(PAUSE_S)
                continue
            if answer.status not in (200, 201, 202, 409, 429, 503):
                self._record.keep(surprise=f"{method} {path}: {answer.status} {answer.data!r:.500}")
            if answer.status not in ASK_AGAIN:
                return Reply(answer.status, answer.json())
            time.sleep(PAUSE_S)


class Workday:
    """Goes on until SIGTERM says that it is over."""

    def __init__(self) -> None:
        self.is_over = False
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, number: int, frame: object) -> None:
        self.is_over = True
