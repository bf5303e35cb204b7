"""A participant that answers over HTTP what a test tells it to."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Got(NamedTuple):
    """A request that came in."""

    path: str
    headers: dict[str, str]
    body: Any
    method: str = "POST"

    @property
    def action(self) -> str:
        return self.path.partition("?")[0].rsplit("/", 1)[1]

    @property
    def key(self) -> str:
        return self.headers["Idempotency-Key"]


class Reply(NamedTuple):
    """An answer; a body that is no bytes is sent as JSON. `lost` closes without any answer."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = {}
    lost: bool = False


LOST = Reply(lost=True)
Outcome = Reply | Callable[[Got], Reply]


class HttpService:
    """Plays a script per action, like `tests.builders.Script`; without one it answers 200."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.address = f"http://127.0.0.1:{server.server_address[1]}"
        self.script: dict[str, list[Outcome]] = {}
        self.requests: list[Got] = []

    def plays(self, action: str, *outcomes: Outcome) -> HttpService:
        self.script[action] = list(outcomes)
        return self

    @property
    def actions(self) -> list[str]:
        return [request.action for request in self.requests]

    @property
    def keys(self) -> list[str]:
        return [request.key.split("/", 1)[1] for request in self.requests]

    def answer(self, got: Got) -> Reply:
        self.requests.append(got)
        outcomes = self.script.get(got.action)
        outcome = outcomes.pop(0) if outcomes else Reply(body={"did": got.action})
        return outcome if isinstance(outcome, Reply) else outcome(got)


@contextmanager
def http_service() -> Iterator[HttpService]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"] or 0))
            is_json = self.headers["Content-Type"] == "application/json"
            body = json.loads(data) if is_json else data.decode()
            reply = service.answer(Got(self.path, dict(self.headers), body, self.command))
            if reply.lost:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service = HttpService(server)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def refused_address() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}"
