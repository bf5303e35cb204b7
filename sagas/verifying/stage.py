"""Participants of plays on the real engine: an HTTP service on this machine that plays scripts."""

from __future__ import annotations

import json
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sagas.core.definition import WAITS, Definition
from sagas.core.state import Direction
from sagas.definitions.ordering import ancestors
from sagas.participants.calls import Call
from sagas.testing.answers import Answer, Outcome
from sagas.testing.participants import Participants
from sagas.verifying.plays import CRASHES, Director, Play

# A step in trouble waits this long for those side by side with it; they need far less.
PATIENCE_S = 20.0


class Actor:
    """One play: what its participants answer, and what they have done."""

    def __init__(self, definition: Definition, play: Play) -> None:
        self.definition = definition
        self.play = play
        self.participants = Participants()
        # Replies to accepted commands that are still to be handed in.
        self.replies: list[tuple[Call, Answer]] = []
        # Crashes are the worker's.
        self._director = Director(play._replace(step="") if play.trouble in CRASHES else play)
        self._awaited = _side_by_side(definition, play)
        self._changed = threading.Condition()

    def answer(self, call: Call) -> Answer:
        """Answer a call, that of the step in trouble after those side by side with it."""
        step = self.definition.steps[self.definition.index_of(call.step)]
        with self._changed:
            if call.step == self.play.step and call.direction == Direction.FORWARD:
                self._changed.wait_for(lambda: not self._awaited, PATIENCE_S)
            self._awaited.discard(call.step)
            self.participants.hear(step, call, at=0.0)
            answer = self.participants.carry_out(step, call, self._director(call))
            if answer.reply is not None:
                self.replies += [(call, answer.reply)] * answer.copies
            self._changed.notify_all()
            return answer

    def carry_out(self, call: Call, answer: Answer) -> Answer:
        """Do what an answer says was done that nobody hears."""
        step = self.definition.steps[self.definition.index_of(call.step)]
        with self._changed:
            return self.participants.carry_out(step, call, answer)

    def probe(self, call: Call) -> dict[str, Any]:
        """Tell the truth about an earlier call."""
        effect = self.participants.effects.by_key.get(call.idempotency_key)
        return {"outcome": "absent" if effect is None else "succeeded"}


def _side_by_side(definition: Definition, play: Play) -> set[str]:
    """Return the steps that run beside the one in trouble and wait for nobody outside."""
    names = [step.name for step in definition.steps]
    if play.step not in names:
        return set()
    own, before = names.index(play.step), ancestors(definition.steps)
    waits = {place for place, step in enumerate(definition.steps) if step.type in WAITS}
    return {
        names[place]
        for place in range(len(names))
        if place != own
        and place not in before[own]
        and own not in before[place]
        and not waits.intersection({place, *before[place]})
    }


class Stage:
    """All plays by the business keys of their sagas."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.actors: dict[str, Actor] = {}

    def hear(self, told: dict[str, Any], key: str, undoes: str) -> tuple[int, Any] | None:
        """Return status and body of the answer; None: it is lost."""
        actor, call = self.actors[told["business_key"]], _call_of(told, key, undoes)
        step = actor.definition.steps[actor.definition.index_of(call.step)]
        if step.probe and call.action == step.probe and call.action != step.action:
            return 200, actor.probe(call)
        answer = actor.answer(call)
        return None if answer.outcome == Outcome.LOST else _response_of(answer)


_STATUS = {
    Outcome.SUCCEEDED: 200,
    Outcome.ACCEPTED: 202,
    Outcome.REFUSED: 409,
    # It says that the request was not taken.
    Outcome.FAILED: 503,
}


def _response_of(answer: Answer) -> tuple[int, Any]:
    said = answer.error if answer.outcome in (Outcome.REFUSED, Outcome.FAILED) else answer.output
    return _STATUS[answer.outcome], said


def _call_of(told: dict[str, Any], key: str, undoes: str) -> Call:
    fields = {name: told[name] for name in Call._fields if name in told}
    return Call(
        **fields
        | {
            "saga_id": uuid.UUID(told["saga_id"]),
            "direction": Direction(told["direction"]),
            "idempotency_key": key,
            "deadline": datetime.now(UTC),
            "undoes": undoes,
        }
    )


@contextmanager
def open_stage() -> Iterator[Stage]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            undoes = self.headers.get("Sagadesk-Undoes", "")
            answer = stage.hear(told, self.headers["Idempotency-Key"], undoes)
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, said = answer
            body = b"" if said is None else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stage = Stage(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield stage
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
