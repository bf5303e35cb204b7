"""Sagas started in bulk, one by one, and beside many that have finished."""

from __future__ import annotations

import time
from functools import partial

from django.db import connection

from benchmarks import load
from benchmarks.result import Result, rounds_of
from sagas.starting import start

BULK = 20_000
SINGLE = 3_000
STORED = 200_000


def bulk(rounds: int) -> list[Result]:
    """Three local steps that succeed: sagas per second, from the first start to the last end.

    20,000 sagas in batches of 1,000, while beat and one worker process run; every step is
    committed before the next one, with journal, events and wake-ups. `bulk_published` ends when
    the relay, in the same worker process, has published the last event.
    """
    return _bulk("bulk", "BenchSucceeding", "completed", rounds=rounds, goal=5_000)


def bulk_failing(rounds: int) -> list[Result]:
    """The same with a third step that fails: two steps are undone, every undo is durable too."""
    return _bulk("bulk_failing", "BenchFailing", "compensated", rounds=rounds, goal=3_500)


def _bulk(name: str, definition: str, status: str, *, rounds: int, goal: float) -> list[Result]:
    published: list[float] = []

    def measure() -> float:
        ended, sent = run_bulk(definition, status)
        published.append(sent)
        return ended

    ended = rounds_of(rounds, measure)
    return [
        Result(name, "sagas/s", ended, goal),
        Result(f"{name}_published", "sagas/s", published[1:], note="until the last event is out"),
    ]


def run_bulk(definition: str, status: str, *, stored: int = 0) -> tuple[float, float]:
    """Run one round; return sagas per second until the last end and the last publication."""
    load.clear()
    if stored:
        load_finished(stored)
    began = time.monotonic()
    load.start_batches(definition, BULK)
    ended = load.wait_for_ends()
    published = load.wait_for_deliveries()
    if not stored:
        load.check_ended(status, BULK)
    return BULK / (ended - began), BULK / (published - began)


def single(rounds: int) -> list[Result]:
    """One `start` per commit from one client, while the worker drives them: starts per second.

    `single_ended` counts until the last of them has ended.
    """
    ended: list[float] = []

    def measure() -> float:
        load.clear()
        began = time.monotonic()
        for number in range(SINGLE):
            start("BenchSucceeding", {"number": number}, business_key=f"BENCH-{number}")
        started = time.monotonic()
        ended.append(SINGLE / (load.wait_for_ends() - began))
        return SINGLE / (started - began)

    starts = rounds_of(rounds, measure)
    return [
        Result("single", "starts/s", starts, 1_000),
        Result("single_ended", "sagas/s", ended[1:], note="from the first start to the last end"),
    ]


def stored(rounds: int) -> list[Result]:
    """`bulk` beside 200,000 finished sagas and beside none, in turns; and the ratio of the two."""
    with_none, with_many = [], []
    measure = partial(run_bulk, "BenchSucceeding", "completed")
    measure()
    for _ in range(rounds):
        with_none.append(measure()[0])
        with_many.append(measure(stored=STORED)[0])
    ratios = [many / none for none, many in zip(with_none, with_many, strict=True)]
    return [
        Result("stored_none", "sagas/s", with_none),
        Result("stored_200k", "sagas/s", with_many, note=f"beside {STORED:,} finished sagas"),
        Result("stored_ratio", "ratio", ratios, 0.9),
    ]


# Copies of one saga that has really run. Their ids are UUIDs of version 7 from the year 2020, which
# sort before the new ones as those of old sagas do.
COPY_SAGAS = """
CREATE TEMPORARY TABLE copies ON COMMIT DROP AS
SELECT model.id AS model_id, nr,
    (lpad(to_hex(1600000000000 + nr), 12, '0') || '70008' || substr(md5(nr::text), 1, 15))::uuid
    AS id
FROM (SELECT id FROM sagas_saga LIMIT 1) AS model, generate_series(1, {count}) AS nr;
INSERT INTO sagas_saga (id, definition_id, business_key, status, paused, state, version, epoch,
    due_at, failed_step, error_message, fingerprint)
SELECT c.id, definition_id, 'STORED-' || nr, status, paused, state, version, epoch,
    due_at, failed_step, error_message, fingerprint
FROM copies AS c JOIN sagas_saga AS s ON s.id = c.model_id;
INSERT INTO sagas_sagastart (saga_id, input, idempotency_key, input_digest, traceparent)
SELECT c.id, input, NULL, input_digest, traceparent
FROM copies AS c JOIN sagas_sagastart AS s ON s.saga_id = c.model_id;
INSERT INTO sagas_journalentry (saga_id, seq, kind, step, data, at)
SELECT c.id, seq, kind, step, data, at
FROM copies AS c JOIN sagas_journalentry AS j ON j.saga_id = c.model_id;
INSERT INTO outbox_message (id, type, key, payload, headers, saga_id)
SELECT gen_random_uuid(), type, c.id::text, payload, headers, c.id
FROM copies AS c JOIN outbox_message AS m ON m.saga_id = c.model_id;
"""


def load_finished(count: int) -> None:
    """Store so many finished sagas with everything that belongs to them."""
    load.start_batches("BenchSucceeding", 1)
    load.wait_for_ends()
    load.wait_for_deliveries()
    with connection.cursor() as cursor:
        cursor.execute(f"BEGIN; {COPY_SAGAS.format(count=count)} COMMIT")
        cursor.execute("VACUUM ANALYZE sagas_saga, sagas_sagastart, sagas_journalentry")
        cursor.execute("VACUUM ANALYZE outbox_message, outbox_delivery")
    load.settle()
