"""HTTP/1.1 with keep-alive for asyncio, as much of it as the participants need."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 16_384
MAX_BODY_BYTES = 1_048_576


class Request(NamedTuple):
    """One request; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


class Answer(NamedTuple):
    """What goes back: a status and JSON text."""

    status: int
    body: str
    retry_after_s: float | None = None


class App(Protocol):
    def delay_s(self, request: Request) -> float:
        """Return how long to wait before the request is worked on."""

    def answer(self, request: Request) -> Answer | None:
        """Work on the request; None closes the connection without an answer."""


class BadRequestError(Exception):
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Connection(asyncio.Protocol):
    """One client's connection; its requests are worked on one after the other."""

    def __init__(self, app: App, open_connections: set[Connection]) -> None:
        self._app = app
        self._open = open_connections
        self._buffer = bytearray()
        self._busy = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio has set TCP_NODELAY: an answer never waits for the client's acknowledgement.
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._work()

    def _work(self) -> None:
        while not self._busy and not self._transport.is_closing():
            try:
                request = take_request(self._buffer)
            except BadRequestError as refusal:
                self._send(Answer(refusal.status, "{}"), keep_alive=False)
                return
            if request is None:
                return
            if delay_s := self._app.delay_s(request):
                # The work is done even if the client has gone by then: a late action.
                self._busy = True
                asyncio.get_running_loop().call_later(delay_s, self._finish_delayed, request)
            else:
                self._finish(request)

    def _finish_delayed(self, request: Request) -> None:
        self._busy = False
        self._finish(request)
        self._work()

    def _finish(self, request: Request) -> None:
        try:
            answer = self._app.answer(request)
        except Exception:
            log.exception("%s %s", request.method, request.path)
            answer = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "{}")
        if answer is None:
            self._transport.close()
        else:
            self._send(answer, keep_alive=request.keep_alive)

    def _send(self, answer: Answer, *, keep_alive: bool) -> None:
        if self._transport.is_closing():
            return
        body = answer.body.encode()
        head = (
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        if answer.retry_after_s is not None:
            head += f"Retry-After: {answer.retry_after_s:g}\r\n"
        if not keep_alive:
            head += "Connection: close\r\n"
        self._transport.write(f"{head}\r\n".encode() + body)
        if not keep_alive:
            self._transport.close()


def take_request(buffer: bytearray) -> Request | None:
    """Cut the first whole request off the buffer, or return None while it is incomplete.

    Raises BadRequestError for what cannot be read.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_HEAD_BYTES:
            raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return None
    first, *lines = buffer[:end].decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    try:
        method, target, version = first.split(" ")
        length = int(headers.get("content-length", 0))
    except ValueError:
        raise BadRequestError(HTTPStatus.BAD_REQUEST) from None
    if "transfer-encoding" in headers:
        raise BadRequestError(HTTPStatus.LENGTH_REQUIRED)
    if length > MAX_BODY_BYTES:
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    whole = end + 4 + length
    if len(buffer) < whole:
        return None
    body = bytes(buffer[end + 4 : whole])
    del buffer[:whole]
    url = urlsplit(target)
    keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Request(method, url.path, url.query, headers, body, keep_alive)
