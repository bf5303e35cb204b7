"""The programs of the console beside its servers."""

import sys

from config.embedded.child import Child
from config.embedded.home import PROJECT, Home

LEAN = {
    "PYTHONUNBUFFERED": "1",
    # glibc's default of eight arenas per core holds on to freed memory.
    "MALLOC_ARENA_MAX": "2",
    # `migrate` has just run them; in Celery they would load every page of the console.
    "CELERY_SKIP_CHECKS": "1",
}


def build_programs(home: Home, env: dict[str, str], *, port: int, workers: int) -> list[Child]:
    """Return the programs in the order of their start; they stop in the opposite order."""
    celery = ("-m", "celery", "-A", "config")

    def program(name: str, *arguments: str, stop_seconds: float) -> Child:
        return Child(
            name=name,
            argv=[sys.executable, *arguments],
            log=home.logs / f"{name}.log",
            env=env | LEAN,
            folder=PROJECT,
            stop_seconds=stop_seconds,
        )

    beat = program("beat", *celery, "beat", "--loglevel=INFO", "--pidfile=", stop_seconds=5)
    worker = program(
        "worker",
        *(*celery, "worker", "--loglevel=INFO", f"--concurrency={workers}"),
        *("--without-gossip", "--without-mingle"),
        stop_seconds=10,
    )
    web = program(
        "web",
        *("-m", "gunicorn", "--config=python:config.gunicorn", f"--bind=127.0.0.1:{port}"),
        "config.wsgi:application",
        stop_seconds=10,
    )
    demo = program("demo", "manage.py", "demo", stop_seconds=5)
    return [beat, worker, web, demo]
