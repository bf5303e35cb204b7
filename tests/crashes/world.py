"""What stands outside of the engine: services with a memory, and a reader of its events."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outbox.exceptions import Unavailable
from outbox.relay_statements import Pending
from sagas.barrier import barrier
from sagas.barrier.exceptions import BusinessFailure as Refused
from sagas.barrier.keys import parse_key
from sagas.core.state import Direction
from sagas.participants.answers import Answer, read_answer
from sagas.participants.calls import BusinessFailure, Call, describe
from tests.crashes.fuse import out, point

# The target of the commands' route.
COMMANDS = "commands"


class Habits(NamedTuple):
    """What befalls which actions; everything else succeeds at once."""

    # A "no" for good, and one until an operator tries again under a new key.
    refuses: tuple[str, ...] = ()
    refuses_once: tuple[str, ...] = ()
    # The first answer is lost; the first attempt is not taken; the answer follows as a reply.
    loses: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    # They keep their promise by the barrier for Django services.
    barrier: bool = False

    def refuse(self, call: Call) -> bool:
        again = call.idempotency_key.endswith(("/2", "/3"))
        return call.action in self.refuses or (call.action in self.refuses_once and not again)


class Effect(NamedTuple):
    """Something that was done: business key, step, direction."""

    business_key: str
    step: str
    direction: str


class World:
    """Does each thing once per idempotency key, as participants promise, and refuses what comes
    after its undo. It forbids nothing else: what is done under two keys is done twice."""

    def __init__(self, habits: Habits) -> None:
        self.habits = habits
        self.done: list[Effect] = []
        # Replies that the services still have to send, by message id.
        self.replies: dict[str, dict[str, Any]] = {}
        self.published: list[str] = []
        self._answers: dict[str, tuple[int, Any]] = {}
        self._befallen: set[tuple[str, str]] = set()
        # Up to which generation, by business key and step.
        self._undone: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def answer(self, call: Call) -> Answer:
        with self._lock:
            if self._first(call, self.habits.busy):
                return read_answer(503, b"", None)
            status, body = self._remembered(call)
            if self._first(call, self.habits.loses):
                return unknown("LostAnswer")
            return read_answer(status, json.dumps(body).encode(), None)

    def obey(self, command: Pending) -> None:
        """Work off a command that has come as a message, and reply unless the reply is lost."""
        call = _call_of(command)
        with self._lock:
            status, body = 503, {"error": {"code": "busy", "message": "Busy."}}
            if not self._first(call, self.habits.busy):
                status, body = self._remembered(call)
            # With 202 it replies anyway.
            if status != 202 and not self._first(call, self.habits.loses):
                self._reply(f"reply to {command.message_id}", call, status, body)

    def _reply(self, message_id: str, call: Call, status: int, body: Any) -> None:
        payload = {
            "message_id": message_id,
            "correlation_id": call.idempotency_key,
            "attempt": call.attempt,
        }
        if status == 200:
            payload |= {"outcome": "succeeded", "output": body}
        else:
            payload |= {"outcome": "failed", "retryable": status == 503, **body}
        self.replies[message_id] = payload

    def _remembered(self, call: Call) -> tuple[int, Any]:
        if call.action.startswith("ask"):
            return self._tell(call)
        if self.habits.barrier:
            with out():
                return self._through_the_barrier(call)
        if call.idempotency_key not in self._answers:
            self._answers[call.idempotency_key] = self._decide(call)
        return self._answers[call.idempotency_key]

    def _tell(self, call: Call) -> tuple[int, Any]:
        """Answer a probe."""
        status, body = self._answers.get(call.idempotency_key, (404, None))
        if status == 200:
            return 200, {"outcome": "succeeded", "output": body}
        if status == 202:
            # The reply follows.
            return 200, {"outcome": "unknown"}
        return (404, None) if status == 404 else (200, {"outcome": "failed", **body})

    def _through_the_barrier(self, call: Call) -> tuple[int, Any]:
        try:
            with barrier.once(call.idempotency_key, undoes=call.undoes) as passage:
                if not passage.is_settled:
                    self._do(call)
                    passage.answer = {"did": call.action}
        except Refused as refusal:
            return refusal.status, refusal.answer
        return passage.status, passage.answer

    def replied(self, message_id: str) -> None:
        """The engine has taken this reply: from now on the service answers at once."""
        reply = self.replies.pop(message_id)
        if reply["outcome"] == "succeeded":
            self._answers[reply["correlation_id"]] = 200, reply["output"]

    def _first(self, call: Call, befalls: tuple[str, ...]) -> bool:
        mark = (call.business_key, call.action)
        if call.action not in befalls or mark in self._befallen:
            return False
        self._befallen.add(mark)
        return True

    def _decide(self, call: Call) -> tuple[int, Any]:
        if self.habits.refuse(call) or self._comes_too_late(call):
            return 409, {"error": {"code": "no", "message": "No."}}
        self._do(call)
        output = {"did": call.action}
        if call.action not in self.habits.replies:
            return 200, output
        self._reply(f"reply to {call.idempotency_key}", call, 200, output)
        return 202, None

    def _comes_too_late(self, call: Call) -> bool:
        undone = self._undone.get((call.business_key, call.step), 0)
        return (
            call.direction == Direction.FORWARD
            and parse_key(call.idempotency_key).generation <= undone
        )

    def _do(self, call: Call) -> None:
        if call.direction == Direction.BACKWARD:
            # It keeps out the actions that it was meant for.
            place, generation = (call.business_key, call.step), parse_key(call.undoes).generation
            self._undone[place] = max(generation, self._undone.get(place, 0))
            if not self._stands(call):
                return
        self.done.append(Effect(call.business_key, call.step, call.direction.value))

    def _stands(self, call: Call) -> bool:
        done, undone = (
            self.done.count(Effect(call.business_key, call.step, direction))
            for direction in (Direction.FORWARD, Direction.BACKWARD)
        )
        return done > undone


def _call_of(command: Pending) -> Call:
    """Read a command as its participant does."""
    told, headers = json.loads(command.payload), json.loads(command.headers)
    return Call(
        **told | {"direction": Direction(told["direction"])},
        idempotency_key=headers["idempotencykey"],
        deadline=datetime.fromisoformat(headers["deadline"]),
        undoes=headers.get("undoes", ""),
    )


class Line:
    """The way to the services, in the place of the engine's HTTP client."""

    world: World

    def __init__(self, *, concurrency: int) -> None:
        pass

    def call(self, address: str, call: Call, **options: Any) -> Answer:
        sent = False
        try:
            point(_cut)
            answer = self.world.answer(call)
            sent = True
            point(_cut)
        except ConnectionError as error:
            if sent:
                return unknown(type(error).__name__)
            return Answer("failed", error=describe("NeverSent", str(error), retryable=True))
        return answer

    def close(self) -> None:
        pass


def _cut() -> None:
    raise ConnectionError("the line is dead")


def unknown(why: str) -> Answer:
    return Answer("unknown", error=describe(why, "", retryable=True))


class AtOnce:
    """Makes the calls in the driver's own thread, one after the other."""

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def submit(self, work: Any, *args: Any) -> None:
        work(*args)

    def shutdown(self, **options: Any) -> None:
        pass


class Reader:
    """The target of every route: who reads events, and the services that commands go to."""

    world: World

    def send(self, target: str, messages: Sequence[Pending]) -> Mapping[int, Exception]:
        point(_unreachable)
        self.world.published += [message.message_id for message in messages]
        if target == COMMANDS:
            for command in messages:
                self.world.obey(command)
        point(_unreachable)
        return {}


def _unreachable() -> None:
    raise Unavailable("the line is dead")


def refuse_locally(habits: Habits, call: Call) -> None:
    if habits.refuse(call):
        raise BusinessFailure("No.")
