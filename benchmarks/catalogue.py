"""The benchmarks by name. Imported once Django is set up."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import calls, fairness, latency, memory, outbox, slowness, stage, throughput
from benchmarks.result import Result

Benchmark = Callable[[int], list[Result]]

WITH_WORKER: dict[str, Benchmark] = {
    "bulk": throughput.bulk,
    "bulk_failing": throughput.bulk_failing,
    "single": throughput.single,
    "latency": latency.latency,
    "stored": throughput.stored,
    "http": calls.http,
    "slow": slowness.slow,
    "fairness": fairness.fairness,
}
WITHOUT_WORKER: dict[str, Benchmark] = {
    "memory": memory.memory,
    "outbox": outbox.outbox,
}


def run(name: str, rounds: int) -> list[Result]:
    """Run one benchmark, on a worker of its own if it needs one, and return its figures."""
    if name in WITHOUT_WORKER:
        return WITHOUT_WORKER[name](rounds)
    with stage.worker():
        return WITH_WORKER[name](rounds)
