"""What a benchmark runs on: servers with PostgreSQL's default durability, beat and one worker."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config.embedded.child import Child
from config.embedded.home import PROJECT, make_temporary_home, remove_home
from config.embedded.programs import LEAN
from config.embedded.servers import serve

READY_S = 30.0


@contextmanager
def servers() -> Iterator[None]:
    """Run our own servers over a new home, with fsync on; then set up Django on them.

    A server that the environment names is used as it is; its database must hold no sagas,
    because every round empties the tables.
    """
    home = make_temporary_home()
    try:
        with serve(home, durable=True) as running:
            os.environ.update(running.environment())
            os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
            os.environ["SAGADESK_MODULES"] = "benchmarks.participants_noop"
            os.environ["SAGADESK_LOG_LEVEL"] = "WARNING"
            prepare()
            yield
    finally:
        remove_home(home)


def prepare() -> None:
    """Set Django up, make the tables, and refuse a database that somebody uses."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from sagas.models import Saga

    if Saga.objects.exists():
        sys.exit("This database holds sagas; a benchmark would remove them. Name an empty one.")


def program(name: str, *arguments: str) -> Child:
    return Child(
        name=name,
        argv=[sys.executable, *arguments],
        log=Path(os.environ["SAGADESK_HOME"]) / "logs" / f"bench-{name}.log",
        env=os.environ | LEAN,
        folder=PROJECT,
        stop_seconds=30,
    )


@contextmanager
def worker() -> Iterator[Child]:
    """Run Celery beat and one Celery worker with one process; both end by their pid."""
    celery = ("-m", "celery", "-A", "config")
    quiet = ("--loglevel=WARNING",)
    beat = program("beat", *celery, "beat", *quiet, "--pidfile=")
    child = program(
        "worker", *celery, "worker", *quiet, "-c", "1", "--without-gossip", "--without-mingle"
    )
    try:
        beat.start()
        child.start()
        wait_until_working(child)
        yield child
    finally:
        child.stop()
        beat.stop()


def wait_until_working(child: Child) -> None:
    """Return once the worker has driven a saga to its end."""
    from benchmarks import load

    load.store_definitions()
    load.start_batches("BenchSucceeding", 10)
    deadline = time.monotonic() + READY_S
    while load.unended():
        if not child.is_alive() or time.monotonic() > deadline:
            sys.exit(f"The worker does not work; the end of its log:\n{child.tail()}")
        time.sleep(0.05)
