"""What a slow participant costs the sagas of a fast one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from django.db import connection

from benchmarks import calls, load
from benchmarks.result import Result
from sagas import catalogue
from sagas.core.definition import Definition, Step
from sagas.models import Participant

SAGAS = 3_000
DELAY_S = 2.0
SLOW = Definition(
    name="BenchSlow", steps=(Step("Slow", "SlowService", "wait", compensation="undo"),)
)


class SlowAnswers(BaseHTTPRequestHandler):
    """Takes two seconds for every call."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(DELAY_S)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


def slow(rounds: int) -> list[Result]:
    """Three HTTP steps a saga: sagas of a fast participant that complete per second.

    Alone, and while as many sagas are on their way whose only call takes 2 s; the rounds go in
    turns. The fast ones are timed until the last of them has completed.
    """
    alone, beside = [], []
    with calls.participants(), slow_participant():
        measure(with_slow=False)
        for _ in range(rounds):
            alone.append(measure(with_slow=False))
            beside.append(measure(with_slow=True))
    return [
        Result("fast_alone", "sagas/s", alone),
        Result("fast_beside_slow", "sagas/s", beside, note="half of all sagas take 2 s"),
    ]


@contextmanager
def slow_participant() -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), SlowAnswers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        Participant.objects.update_or_create(
            name="SlowService",
            defaults={
                "transport": "http",
                "address": f"http://127.0.0.1:{server.server_address[1]}",
            },
        )
        catalogue.store_definition(SLOW)
        # A worker goes on with the participants that it knows for a second.
        time.sleep(1.5)
        yield
    finally:
        drop_slow()
        server.shutdown()


def measure(*, with_slow: bool) -> float:
    drop_slow()
    load.clear()
    if with_slow:
        load.start_batches("BenchSlow", SAGAS)
        wait_until_seen()
    began = time.monotonic()
    load.start_batches("BenchHttp", SAGAS)
    deadline = began + load.LIMIT_S
    while moving_fast():
        if time.monotonic() > deadline:
            raise load.TooSlow("Sagas of the fast participant have not ended.")
        time.sleep(load.LOOK_S)
    return SAGAS / (time.monotonic() - began)


def wait_until_seen() -> None:
    """Wait until a worker has looked at every slow saga: what a start costs is not asked here."""
    deadline = time.monotonic() + load.LIMIT_S
    while unseen():
        if time.monotonic() > deadline:
            raise load.TooSlow("Nobody has looked at some of the slow sagas.")
        time.sleep(load.LOOK_S)


def unseen() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM sagas_saga WHERE NOT begun)")
        return bool(cursor.fetchone()[0])


def moving_fast() -> bool:
    """Say whether a fast saga is still on its way; those due are few."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM sagas_saga WHERE due_at IS NOT NULL AND definition_id ="
            " (SELECT max(id) FROM sagas_definition WHERE name = 'BenchHttp'))"
        )
        return bool(cursor.fetchone()[0])


def drop_slow() -> None:
    """Leave nothing slow behind: what is due of it is taken away from the worker."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE sagas_saga SET status = 'abandoned', due_at = NULL WHERE due_at IS NOT NULL"
        )
