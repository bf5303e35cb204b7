"""python -m benchmarks.peers [--rounds N] [--json FILE]: Sagadesk and DBOS, side by side.

Both run three steps that do nothing, every step durable, on the same PostgreSQL with its default
durability, in turns within one run. Starts are single: one commit each, from one process.

* Sagadesk: `sagas.starting.start` in this process; one Celery worker process drives the sagas.
  It writes the journal, and events to the outbox, which the same worker publishes.
* DBOS: `DBOS.start_workflow` of a `@DBOS.workflow()` with three `@DBOS.step()`; its threads in
  the starting process run them, so that there is no hop to another process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import stage
from benchmarks.result import Result, machine, percentile, show

DBOS_VERSION = "3.4.0"
STARTS = 1_000
SAMPLES = 100


class Dbos:
    """A DBOS process that does what it is told, one line at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, task: str, count: int) -> tuple[float, float]:
        self._process.stdin.write(f"{task} {count}\n")
        self._process.stdin.flush()
        first, second = self.read().split()
        return float(first), float(second)

    def read(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            sys.exit("DBOS has ended; what it said is above.")
        return line


@contextmanager
def dbos() -> Iterator[Dbos]:
    """Run DBOS in a virtual environment and a database of its own on the same server."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE dbos_bench")
    address = os.environ["DATABASE_URL"].replace("/sagadesk?", "/dbos_bench?")
    process = subprocess.Popen(
        [str(dbos_python()), str(Path(__file__).with_name("peer_dbos.py"))],
        env=os.environ
        | {"DBOS_SYSTEM_DATABASE_URL": address.replace("postgres://", "postgresql://")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        peer = Dbos(process)
        peer.read()
        yield peer
    finally:
        process.stdin.close()
        process.wait(30)


def dbos_python() -> Path:
    """Return the Python of a virtual environment with DBOS; made at the first run, then kept."""
    folder = Path(tempfile.gettempdir()) / f"sagadesk-dbos-{DBOS_VERSION}-{os.geteuid()}"
    python = folder / "bin" / "python"
    installed = folder / "installed"
    if not installed.exists():
        print(f"Installing DBOS {DBOS_VERSION} in {folder} ...", flush=True)
        venv.create(folder, with_pip=True)
        pip = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([str(python), *pip, f"dbos=={DBOS_VERSION}"], check=True)
        installed.touch()
    return python


def sagadesk_throughput() -> tuple[float, float]:
    """Return starts per second, and sagas ended per second."""
    from benchmarks import load
    from sagas.starting import start

    load.clear()
    began = time.perf_counter()
    for number in range(STARTS):
        start("BenchSucceeding", {"number": number}, business_key=f"BENCH-{number}")
    started = time.perf_counter()
    load.wait_for_ends()
    ended = time.perf_counter()
    load.check_ended("completed", STARTS)
    return STARTS / (started - began), STARTS / (ended - began)


def sagadesk_latency() -> tuple[float, float]:
    from benchmarks import latency, load

    load.clear()
    samples = latency.measure_round(SAMPLES)
    return percentile(samples, 50), percentile(samples, 99)


def compare(rounds: int) -> list[Result]:
    """Measure both in turns; the first round of each warms up and is not counted."""
    ours, theirs = [], []
    with stage.worker(), dbos() as peer:
        for _ in range(rounds + 1):
            ours.append((*sagadesk_throughput(), *sagadesk_latency()))
            theirs.append((*peer.ask("throughput", STARTS), *peer.ask("latency", SAMPLES)))
    figures = ("single starts", "starts/s"), ("single, ended", "sagas/s")
    figures += ("idle latency p50", "ms"), ("idle latency p99", "ms")
    results = []
    for column, (name, unit) in enumerate(figures):
        for system, rows in (("Sagadesk", ours), ("DBOS", theirs)):
            results.append(Result(f"{name}: {system}", unit, [row[column] for row in rows[1:]]))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="the median counts (default: 5)")
    parser.add_argument("--json", type=Path, help="write every round to this file")
    options = parser.parse_args()
    if os.environ.get("DATABASE_URL"):
        parser.error("It runs on its own embedded server: unset DATABASE_URL.")
    with stage.servers():
        results = compare(options.rounds)
    show(results)
    if options.json:
        content = {"machine": machine(), "results": [one.as_json() for one in results]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
