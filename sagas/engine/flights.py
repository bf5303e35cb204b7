"""HTTP calls in the air: sent by threads, gathered as they land."""

from __future__ import annotations

import logging
import queue
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from sagas.core.moves import Run
from sagas.engine.bulkhead import Flight
from sagas.engine.held import Held
from sagas.engine.routing import There
from sagas.participants.answers import Answer, as_told
from sagas.participants.calls import Call, describe
from sagas.participants.http import HttpClient

logger = logging.getLogger(__name__)


class Landing(NamedTuple):
    """A call that has ended, after so many seconds."""

    held: Held
    run: Run
    flight: Flight
    answer: Answer
    seconds: float


class Flights:
    """Makes calls in threads; belongs to one thread. Which calls may leave is the gate's to say."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self._flying: dict[tuple[Held, Run], None] = {}
        self._landed: queue.SimpleQueue[Landing] = queue.SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None
        self._client: HttpClient | None = None

    @property
    def count(self) -> int:
        return len(self._flying)

    def held(self) -> list[Held]:
        return [held for held, _ in self._flying]

    def send(
        self, held: Held, run: Run, flight: Flight, there: There, call: Call, *, timeout_s: float
    ) -> None:
        """Make the call in another thread."""
        if self._threads is None or self._client is None:
            self._threads = ThreadPoolExecutor(self.concurrency, thread_name_prefix="http")
            self._client = HttpClient(concurrency=self.concurrency)
        self._flying[held, run] = None
        self._threads.submit(self._fly, self._client, held, run, flight, there, call, timeout_s)

    def _fly(
        self,
        client: HttpClient,
        held: Held,
        run: Run,
        flight: Flight,
        there: There,
        call: Call,
        timeout_s: float,
    ) -> None:
        sent_at = time.monotonic()
        try:
            answer = _ask(client, there, call, timeout_s)
        except Exception as error:
            # Broad on purpose: a call that never lands would be waited for for ever.
            logger.exception("%s of saga %s", call.action, call.saga_id)
            answer = Answer(
                "unknown", error=describe(type(error).__name__, str(error), retryable=True)
            )
        self._landed.put(Landing(held, run, flight, answer, time.monotonic() - sent_at))

    def arrivals(self, patience_s: float) -> list[Landing]:
        """Return what has landed; when nothing has, wait for it, at most so long."""
        landed: list[Landing] = []
        try:
            if patience_s:
                landed.append(self._landed.get(timeout=patience_s))
            while True:
                landed.append(self._landed.get_nowait())
        except queue.Empty:
            pass
        for landing in landed:
            del self._flying[landing.held, landing.run]
        return landed

    def close(self) -> None:
        """Wait for what is in the air, end the threads, close the connections."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
        if self._client is not None:
            self._client.close()


def _ask(client: HttpClient, there: There, call: Call, timeout_s: float) -> Answer:
    described = there.described
    if described is not None and described.is_probe:
        found = client.probe(there.address, call, timeout_s=timeout_s, described=described)
        return as_told(found)
    return client.call(there.address, call, timeout_s=timeout_s, described=described)
