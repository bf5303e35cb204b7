"""What runs while chaos rages, each a child that ends with us."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from config.embedded.child import Child
from config.embedded.home import PROJECT
from config.embedded.programs import LEAN, build_programs
from config.embedded.servers import Servers

WORKERS = 3
LEASE_S = 5
LONELY = ("--concurrency=1", "--without-gossip", "--without-mingle")


def environment(servers: Servers) -> dict[str, str]:
    """Return what workers, beat and console run in: short leases, and callables of our own."""
    own = {
        "SAGADESK_LEASE_SECONDS": str(LEASE_S),
        "SAGADESK_LANE_LEASE_SECONDS": str(LEASE_S),
        "SAGADESK_LOG_LEVEL": "WARNING",
        "SAGADESK_MODULES": "tests.crashes.chaos.callables",
    }
    return servers.environment() | LEAN | own


def python(servers: Servers, name: str, *words: str, stop_seconds: float = 10) -> Child:
    """Return a program of this project, not started yet."""
    return Child(
        name=name,
        argv=[sys.executable, *words],
        log=servers.home.logs / f"{name}.log",
        env=environment(servers),
        folder=PROJECT,
        stop_seconds=stop_seconds,
    )


def worker(servers: Servers, name: str) -> Child:
    host = f"--hostname={name}@%h"
    return python(servers, name, "-m", "celery", "-A", "config", "worker", host, *LONELY)


def beat(servers: Servers, name: str = "beat") -> Child:
    return python(servers, name, "-m", "celery", "-A", "config", "beat", "--pidfile=")


def console(servers: Servers, port: int) -> Child:
    """Return gunicorn as `make run` starts it."""
    built = build_programs(servers.home, environment(servers), port=port, workers=1)
    return next(child for child in built if child.name == "web")


@contextmanager
def started(child: Child) -> Iterator[Child]:
    child.start()
    try:
        yield child
    finally:
        child.stop()


def count(url: str, query: str) -> int | None:
    """Return what is counted; None while the database is away."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute(query).fetchone()
            return int(row[0]) if row else None
    except psycopg.OperationalError:
        return None


def until(condition: Callable[[], object], look: Callable[[], None], *, give_up_at: float) -> bool:
    """Look until the condition holds; say whether it did before that time (monotonic)."""
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        look()
        time.sleep(0.2)
    return True
