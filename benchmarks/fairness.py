"""How long a small definition's sagas take beside a flood of another one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch
from uuid import UUID

from django.db import connection

from benchmarks import load
from benchmarks.participants_noop import SUCCEEDING
from benchmarks.result import Result, percentile
from sagas import catalogue, starting
from sagas.engine.lanes import FIRST_LANE
from sagas.models import Saga
from sagas.starting import start

FLOOD = 50_000
SAMPLES = 100
EVERY_S = 0.05
POLL_S = 0.002
SMALL = SUCCEEDING._replace(name="BenchSmall")


def fairness(rounds: int) -> list[Result]:
    """From just before `start` until its client sees the saga completed, in milliseconds.

    Three local steps; one saga every 50 ms, up to 100 a round, while 50,000 of another definition
    are driven. The rounds go in turns: as it is, and with all sagas in one lane, which is the
    order that they were started in.
    """
    catalogue.store_definition(SMALL)
    fair, unfair = [], []
    measure_round()
    for _ in range(rounds):
        fair.append(measure_round())
        with one_lane():
            unfair.append(measure_round())
    note = "all in one lane"
    return [
        Result("fairness_p50", "ms", [percentile(s, 50) for s in fair]),
        Result("fairness_p99", "ms", [percentile(s, 99) for s in fair]),
        Result("fairness_off_p50", "ms", [percentile(s, 50) for s in unfair], note=note),
        Result("fairness_off_p99", "ms", [percentile(s, 99) for s in unfair], note=note),
    ]


@contextmanager
def one_lane() -> Iterator[None]:
    """Let everything that this process starts wait for each other, as without lanes."""
    with patch.object(starting, "lane_of", lambda *_: FIRST_LANE):
        yield


def measure_round() -> list[float]:
    load.clear()
    load.start_batches("BenchSucceeding", FLOOD)
    last_of_flood = newest_saga()
    under_way: dict[UUID, float] = {}
    samples: list[float] = []
    for number in range(SAMPLES):
        if last_of_flood in completed([last_of_flood]):
            break
        began = time.perf_counter()
        started = start("BenchSmall", {"number": number}, business_key=f"SMALL-{number}")
        under_way[started.saga_id] = began
        samples += watch(under_way, until=began + EVERY_S)
    samples += watch(under_way, until=time.perf_counter() + load.LIMIT_S, stop_early=True)
    if under_way or not samples:
        raise load.TooSlow(f"{len(samples)} sagas have completed, {len(under_way)} have not.")
    return samples


def watch(under_way: dict[UUID, float], *, until: float, stop_early: bool = False) -> list[float]:
    """Take what completes until then out of what is under way; return how long each has taken."""
    samples: list[float] = []
    while time.perf_counter() < until and (under_way or not stop_early):
        time.sleep(POLL_S)
        done = completed(list(under_way))
        seen = time.perf_counter()
        samples += [(seen - under_way.pop(saga_id)) * 1_000 for saga_id in done]
    return samples


def newest_saga() -> UUID:
    saga_id = Saga.objects.order_by("-pk").values_list("pk", flat=True).first()
    assert saga_id is not None
    return saga_id


def completed(saga_ids: list[UUID]) -> set[UUID]:
    """Return those of the sagas that have completed; a saga that fails is waited for in vain."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM sagas_saga WHERE id = ANY(%s) AND status = 'completed'", [saga_ids]
        )
        return {row[0] for row in cursor.fetchall()}
