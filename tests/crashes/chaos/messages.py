"""A service reached by messages: `python -m tests.crashes.chaos.messages STREAM DATA`.

Its commands come in on a Redis stream, its replies go out on another one, and what it did is in
tables of its own, like those of the services over HTTP. What Redis loses is asked for again.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import redis

from examples.participants.app import Participants
from examples.participants.faults import Faults
from examples.participants.protocol import Answer, Request

SERVICE = "ShippingService"
GROUP = "chaos"
FAULTS = {
    "rules": {
        f"{SERVICE}/scheduleShipping": {"business": 0.1, "lost": 0.05, "unavailable": 0.05},
        f"{SERVICE}/cancelShipping": {"lost": 0.05},
    }
}


class Reader:
    """Takes commands one by one, first those that it had read and not answered before it died."""

    def __init__(self, server: redis.Redis, commands: str, service: Participants) -> None:
        self._server, self._commands, self._service = server, commands, service

    def work(self) -> None:
        for entry_id, fields in self._read("0") or self._read(">"):
            self._answer(entry_id, fields)

    def _read(self, after: str) -> list[tuple[str, dict[str, str]]]:
        streams: dict[Any, Any] = {self._commands: after}
        try:
            found: Any = self._server.xreadgroup(GROUP, "1", streams, count=20, block=500)
        except redis.ResponseError:
            # The group is not there, or was lost.
            self._server.xgroup_create(self._commands, GROUP, id="0", mkstream=True)
            return []
        return found[0][1] if found else []

    def _answer(self, entry_id: str, fields: dict[str, str]) -> None:
        headers, command = json.loads(fields["headers"]), json.loads(fields["data"])
        answer = self._service.answer(
            Request(
                "POST",
                f"/{SERVICE}/{command['action']}",
                "",
                {"idempotency-key": headers["idempotencykey"]},
                fields["data"].encode(),
                keep_alive=True,
            )
        )
        with self._server.pipeline(transaction=True) as together:
            if answer is not None:
                reply = json.dumps(reply_of(answer, headers))
                together.xadd(headers["replyto"], {"source": SERVICE, "data": reply})
            together.xack(self._commands, GROUP, entry_id)
            together.execute()


def reply_of(answer: Answer, headers: dict[str, Any]) -> dict[str, Any]:
    """Return the answer that HTTP would have as a reply to the command with these headers."""
    key, attempt = headers["correlationid"], headers["attempt"]
    reply = {"message_id": f"{key}/{attempt}", "correlation_id": key, "attempt": attempt}
    body = json.loads(answer.body)
    if answer.status < 300:
        return reply | {"outcome": "succeeded", "output": body}
    return reply | {
        "outcome": "failed",
        "error": body["error"],
        "retryable": answer.status >= 500,
    }


def main(commands: str, data: Path) -> None:
    server = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    reader = Reader(server, commands, Participants([SERVICE], data, faults=Faults(FAULTS)))
    while True:
        try:
            reader.work()
        except (redis.RedisError, OSError):
            time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
