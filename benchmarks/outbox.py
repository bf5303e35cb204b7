"""python -m benchmarks.outbox [--rounds N]: how fast the outbox empties, and how soon.

Also part of `python -m benchmarks` by the name "outbox".
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks import stage
from benchmarks.result import Result, percentile, rounds_of, show

STREAM = "sagadesk:bench"
MESSAGES = 40_000
KEYS = 1_000
COMMITS_PER_SECOND = 100
COMMITS = 1_000
PAYLOAD = {"order": 4711, "customer": "c-1", "note": "x" * 100}


def outbox(rounds: int) -> list[Result]:
    """Measure both; needs servers() and no worker."""
    figures = [relaying(rounds)]
    with worker():
        return figures + publishing(rounds)


def relaying(rounds: int) -> Result:
    """Messages a second that one process takes from the outbox to a Redis stream.

    40,000 messages of 1,000 keys, some 150 bytes each, lie ready; the clock runs from the first
    lease until the table is empty. The relay does not wait for the disk, the publishers do.
    """
    from django.db import connection

    from outbox.publishing import NewMessage, publish_many
    from outbox.relay import drain

    def measure() -> float:
        clear()
        for start in range(0, MESSAGES, 1_000):
            numbers = range(start, start + 1_000)
            publish_many([NewMessage("bench.a", f"key-{n % KEYS}", PAYLOAD) for n in numbers])
        # As autovacuum would have done before long; each round fills the tables at one blow.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE outbox_message, outbox_delivery")
        began = time.perf_counter()
        moved = drain(budget_s=60)
        elapsed = time.perf_counter() - began
        if moved != MESSAGES:
            sys.exit(f"{moved:,} of {MESSAGES:,} messages went out.")
        return moved / elapsed

    with no_waking():
        return Result("outbox_relay", "messages/s", rounds_of(rounds, measure), 20_000)


def publishing(rounds: int) -> list[Result]:
    """From the commit of a message until a consumer of the stream has it, in milliseconds.

    One message per transaction, 100 transactions a second, 1,000 a round, through a Celery worker
    with one process. The consumer waits in XREAD.
    """
    measure_round(100)
    samples = [measure_round(COMMITS) for _ in range(rounds)]
    return [
        Result("outbox_latency_p50", "ms", [percentile(s, 50) for s in samples], at_most=True),
        Result("outbox_latency_p99", "ms", [percentile(s, 99) for s in samples], 20, at_most=True),
    ]


def measure_round(count: int) -> list[float]:
    committed: dict[str, float] = {}
    arrived: dict[str, float] = {}
    redis_client().delete(STREAM)
    consumer = threading.Thread(target=consume, args=(arrived, count))
    consumer.start()
    began = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, began + number / COMMITS_PER_SECOND - time.perf_counter()))
        commit_one(committed, number)
    consumer.join()
    if len(arrived) != count:
        sys.exit(f"{len(arrived):,} of {count:,} messages arrived.")
    return [(arrived[id_] - at) * 1_000 for id_, at in committed.items()]


def commit_one(committed: dict[str, float], number: int) -> None:
    from django.db import transaction

    from outbox.publishing import NewMessage, publish_many

    message = NewMessage("bench.a", f"key-{number % KEYS}", PAYLOAD)
    with transaction.atomic():
        # Ahead of the wake-up, so that the wake-up is part of what is measured.
        transaction.on_commit(lambda: committed.update({str(message.id): time.perf_counter()}))
        publish_many([message])


def consume(arrived: dict[str, float], count: int) -> None:
    """Read the stream until `count` messages have arrived, or nothing has for ten seconds."""
    client, last = redis_client(), "0"
    while len(arrived) < count:
        answer: Any = client.xread({STREAM: last}, block=10_000)
        if not answer:
            return
        now = time.perf_counter()
        entries = answer[STREAM][0] if isinstance(answer, dict) else answer[0][1]
        for last, fields in entries:  # noqa: B007 — the last one is where to go on
            arrived[fields["id"]] = now


def clear() -> None:
    from django.db import connection

    from outbox.models import Route

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE outbox_message, outbox_delivery, outbox_receipt")
    Route.objects.get_or_create(
        name="bench",
        defaults={"transport": "redis_stream", "target": STREAM, "types": ["bench.*"]},
    )
    redis_client().delete(STREAM)


def redis_client() -> Any:
    import redis
    from django.conf import settings

    return redis.Redis.from_url(settings.REDIS_URL, decode_responses=True, socket_timeout=15)


@contextmanager
def no_waking() -> Iterator[None]:
    from django.conf import settings

    before = settings.OUTBOX_WAKE_ON_COMMIT
    settings.OUTBOX_WAKE_ON_COMMIT = False
    try:
        yield
    finally:
        settings.OUTBOX_WAKE_ON_COMMIT = before


@contextmanager
def worker() -> Iterator[None]:
    """Run a Celery worker with one process, and nothing that sweeps; it ends by its pid."""
    child = stage.program(
        "outbox-worker",
        *("-m", "celery", "-A", "config", "worker", "--loglevel=WARNING", "-c", "1"),
        *("--without-gossip", "--without-mingle"),
    )
    child.start()
    try:
        deadline = time.monotonic() + stage.READY_S
        clear()
        commit_one({}, 0)
        while not redis_client().xlen(STREAM):
            if not child.is_alive() or time.monotonic() > deadline:
                sys.exit(f"The worker does not work; the end of its log:\n{child.tail()}")
            time.sleep(0.05)
        yield
    finally:
        child.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outbox", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="the median counts (default: 5)")
    options = parser.parse_args()
    with stage.servers():
        show(outbox(options.rounds))


if __name__ == "__main__":
    main()
