"""How long one saga takes when nothing else is to be done."""

from __future__ import annotations

import time

from django.db import connection

from benchmarks import load
from benchmarks.result import Result, percentile
from sagas.starting import start

SAMPLES = 300
PAUSE_S = 0.03
POLL_S = 0.0005
LIMIT_S = 10.0


def latency(rounds: int) -> list[Result]:
    """From just before `start` until its client sees the saga completed, in milliseconds.

    Three local steps, one saga at a time, 300 a round, each after a pause. The client asks for
    the row every 0.5 ms, so the figure holds the commits, the wake-up through the broker, the
    worker's three transactions, and up to one question.
    """
    load.clear()
    measure_round(30)
    samples = [measure_round(SAMPLES) for _ in range(rounds)]
    return [
        Result("latency_p50", "ms", [percentile(s, 50) for s in samples], 6, at_most=True),
        Result("latency_p99", "ms", [percentile(s, 99) for s in samples], 15, at_most=True),
    ]


def measure_round(count: int) -> list[float]:
    samples = []
    for number in range(count):
        time.sleep(PAUSE_S)
        began = time.perf_counter()
        started = start("BenchSucceeding", {"number": number}, business_key=f"IDLE-{number}")
        wait_completed(started.saga_id)
        samples.append((time.perf_counter() - began) * 1_000)
    return samples


def wait_completed(saga_id: object) -> None:
    deadline = time.monotonic() + LIMIT_S
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT status FROM sagas_saga WHERE id = %s", [saga_id])
            if cursor.fetchone()[0] == "completed":
                return
            time.sleep(POLL_S)
    raise load.TooSlow(f"Saga {saga_id} did not complete within {LIMIT_S:g} s.")
