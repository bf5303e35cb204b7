"""The services of the restaurant order, reached by messages: commands come in and replies go out on
Redis streams.

    REDIS_URL=redis://127.0.0.1:6379/0 python -m examples.stream_participants

One process plays all four of them and keeps what they know in Redis. Every command is one MULTI:
its effect, its first reply, the reply on the stream and the acknowledgement are there together or
not at all. It imports nothing of the console, because a service of yours would not either.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Callable
from typing import Any, NamedTuple

import redis

GROUP = "restaurant"
COMMANDS = "restaurant:commands"
# The first reply under each idempotency key, and the state of each order and ticket.
ANSWERS, STATES = "restaurant:answers", "restaurant:states"
# The action that the last undo of each order and ticket took back.
UNDONE = "restaurant:undone"
BATCH = 50
WAIT_MS = 1_000


class Refusal(Exception):
    """A "no" for good."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Done(NamedTuple):
    """What an action answers, and the state in which it leaves its order or ticket."""

    output: dict[str, Any]
    state: tuple[str, str] | None = None


Command = dict[str, Any]


def create_order(command: Command) -> Done:
    return Done({"orderId": command["input"].get("orderId")}, ("order", "APPROVAL_PENDING"))


def verify_consumer(command: Command) -> Done:
    consumer = str(command["input"].get("consumerId"))
    if consumer.startswith("blocked"):
        raise Refusal("ConsumerBlocked", f"{consumer} may not order at present.")
    return Done({"verified": consumer})


def create_ticket(command: Command) -> Done:
    if not command["input"].get("items"):
        raise Refusal("NothingToCook", "The order names no dish.")
    return Done({"ticketId": f"T-{command['saga_id'][-6:]}"}, ("ticket", "CREATE_PENDING"))


def authorise_card(command: Command) -> Done:
    total = float(command["input"].get("total", 0))
    if total > 500:
        raise Refusal("CardDeclined", f"The card does not cover {total:.2f}.")
    return Done({"authorised": total})


def becomes(thing: str, state: str) -> Callable[[Command], Done]:
    return lambda command: Done({thing: state}, (thing, state))


ACTIONS: dict[str, Callable[[Command], Done]] = {
    "createOrder": create_order,
    "rejectOrder": becomes("order", "REJECTED"),
    "verifyConsumer": verify_consumer,
    "createTicket": create_ticket,
    "rejectTicket": becomes("ticket", "REJECTED"),
    "authoriseCard": authorise_card,
    "approveTicket": becomes("ticket", "APPROVED"),
    "approveOrder": becomes("order", "APPROVED"),
}


class Services:
    """Takes commands from a stream and puts its replies on the one that each command names."""

    def __init__(self, server: redis.Redis, commands: str = COMMANDS) -> None:
        self.server, self.commands = server, commands
        try:
            server.xgroup_create(commands, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def work(self, *, wait_ms: int | None = None) -> int:
        """Answer the commands that are there, or come soon; return how many."""
        # First those that a process before this one has read and not answered.
        entries = self._read("0", None) or self._read(">", wait_ms)
        for entry_id, fields in entries:
            self._answer(entry_id, fields)
        return len(entries)

    def _read(self, after: str, wait_ms: int | None) -> list[tuple[str, dict[str, str]]]:
        streams: dict[Any, Any] = {self.commands: after}
        answer: Any = self.server.xreadgroup(GROUP, "1", streams, count=BATCH, block=wait_ms)
        return answer[0][1] if answer else []

    def _answer(self, entry_id: str, fields: dict[str, str]) -> None:
        headers, command = json.loads(fields["headers"]), json.loads(fields["data"])
        key, attempt = headers["idempotencykey"], headers["attempt"]
        first = self.server.hget(ANSWERS, key)
        state = None
        if first is None:
            answer, state = self._perform(command, key)
        else:
            # A repeated command gets the first answer, and nothing is done twice.
            answer = json.loads(str(first))
        reply = {
            "message_id": f"{key}/{attempt}",
            "correlation_id": headers["correlationid"],
            "attempt": attempt,
            **answer,
        }
        with self.server.pipeline(transaction=True) as together:
            if state is not None:
                place = f"{state[0]}:{command['saga_id']}"
                together.hset(STATES, place, state[1])
                if "undoes" in headers:
                    together.hset(UNDONE, place, headers["undoes"])
            together.hsetnx(ANSWERS, key, json.dumps(answer))
            together.xadd(headers["replyto"], {"source": "restaurant", "data": json.dumps(reply)})
            together.xack(self.commands, GROUP, entry_id)
            together.execute()

    def _perform(self, command: Command, key: str) -> tuple[dict[str, Any], tuple[str, str] | None]:
        try:
            done = ACTIONS[command["action"]](command)
            if done.state is not None and command["direction"] == "forward":
                self._refuse_what_was_rejected(done.state[0], command["saga_id"], key)
        except KeyError:
            refusal = Refusal("UnknownAction", f"Nobody here knows {command['action']}.")
            return refused(refusal), None
        except Refusal as refusal:
            return refused(refusal), None
        return {"outcome": "succeeded", "output": done.output}, done.state

    def _refuse_what_was_rejected(self, thing: str, saga_id: str, key: str) -> None:
        """Refuse an action that comes after its undo, unless it was ordered anew after that."""
        place = f"{thing}:{saga_id}"
        action, generation = read_key(key)
        undone, up_to = read_key(str(self.server.hget(UNDONE, place) or ""))
        if action == undone:
            is_late = generation <= up_to
        else:
            is_late = self.server.hget(STATES, place) == "REJECTED"
        if is_late:
            raise Refusal("Rejected", f"The {thing} was rejected already.")


def read_key(key: str) -> tuple[str, int]:
    """Return which action a key orders, and and for which time: …/do, …/do/2, and on."""
    action, _, last = key.rpartition("/")
    return (action, int(last)) if last.isdecimal() else (key, 1)


def refused(refusal: Refusal) -> dict[str, Any]:
    return {"outcome": "failed", "error": {"code": refusal.code, "message": str(refusal)}}


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer the commands of restaurant orders.")
    parser.add_argument("--commands", default=COMMANDS, help=f"their stream ({COMMANDS})")
    options = parser.parse_args()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.append(number))
    signal.signal(signal.SIGINT, lambda number, frame: stopped.append(number))
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    services = Services(redis.Redis.from_url(url, decode_responses=True), options.commands)
    while not stopped:
        services.work(wait_ms=WAIT_MS)


if __name__ == "__main__":
    main()
