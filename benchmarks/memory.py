"""Memory: of the worker after its work, and of everything that `make run` starts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import stage, throughput
from benchmarks.result import Result
from config.embedded.home import PROJECT, make_temporary_home, remove_home
from config.embedded.port import answers

READY_S = 120.0
# The demo books its first trips, and every program has done each of its tasks once.
SETTLE_S = 20.0


def memory(rounds: int) -> list[Result]:
    """Proportional set size (PSS, Linux), in MB: shared pages count in parts.

    `memory_worker` is the Celery worker's process after it drove `bulk` twice; `memory_stack` the
    launcher of `make run` with all its descendants: both servers, web, beat, worker and demo.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        print("memory: this system has no /proc/*/smaps_rollup")
        return []
    with stage.worker() as worker:
        for _ in range(2):
            throughput.run_bulk("BenchSucceeding", "completed")
        sizes = [pss_mb(pid) for pid in descendants(worker.pid)]
    return [
        Result("memory_worker", "MB", [max(sizes)], 120, at_most=True),
        Result("memory_stack", "MB", [stack_mb()], 600, at_most=True, note="`make run`"),
    ]


def stack_mb() -> float:
    """Start everything over a home of its own and return what it takes together."""
    with running_stack() as launcher:
        time.sleep(SETTLE_S)
        pids = [launcher.pid, *descendants(launcher.pid)]
        for pid in pids:
            print(f"  {pss_mb(pid):6.1f} MB  {command(pid)[:90]}")
        return sum(map(pss_mb, pids))


@contextmanager
def running_stack() -> Iterator[subprocess.Popen[bytes]]:
    home = make_temporary_home()
    ours = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "SAGADESK_MODULES")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    port = free_port()
    with (home.logs / "bench-run.log").open("wb") as log:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "config.embedded", "run", "--port", str(port)],
            cwd=PROJECT,
            env=env | {"SAGADESK_HOME": str(home.root)},
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + READY_S
        while not answers(port):
            if launcher.poll() is not None or time.monotonic() > deadline:
                sys.exit(
                    f"`make run` does not come up:\n{(home.logs / 'bench-run.log').read_text()}"
                )
            time.sleep(0.2)
        yield launcher
    finally:
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(60)
        remove_home(home)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children += [int(child) for child in (task / "children").read_text().split()]
    return [found for child in children for found in (child, *descendants(child))]


def pss_mb(pid: int) -> float:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)[1]) / 1024


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
