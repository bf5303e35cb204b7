"""Sagas whose steps are HTTP calls to the participants of the examples, on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import load
from benchmarks.result import Result, rounds_of
from config.embedded.home import PROJECT
from sagas import catalogue
from sagas.core.definition import Definition, Step
from sagas.models import Participant

SAGAS = 1_000
STEPS = (
    ("FlightService", "reserveFlight", "cancelFlightReservation"),
    ("HotelService", "reserveHotel", "cancelHotelReservation"),
    ("PaymentService", "chargeCard", "refundPayment"),
)
DEFINITION = Definition(
    name="BenchHttp",
    steps=tuple(Step(name, name, action, compensation=undo) for name, action, undo in STEPS),
)


def http(rounds: int) -> list[Result]:
    """Three HTTP steps a saga: calls answered and recorded per second.

    1,000 sagas in one batch, one worker process with 32 calls in the air (the default), against
    one process of `examples.participants`, which stores every effect in SQLite. Each call is
    recorded as sent before it leaves, and its answer when it comes.
    """
    with participants():
        steps = rounds_of(rounds, measure)
    return [Result("http", "steps/s", steps, note=f"{len(STEPS)} steps a saga")]


def measure() -> float:
    load.clear()
    began = time.monotonic()
    load.start_batches("BenchHttp", SAGAS)
    ended = load.wait_for_ends()
    load.check_ended("completed", SAGAS)
    return SAGAS * len(STEPS) / (ended - began)


@contextmanager
def participants() -> Iterator[None]:
    """Serve the participants from a process of their own, and make them known."""
    with tempfile.TemporaryDirectory() as folder:
        argv = ["-m", "examples.participants", "--port", "0", "--data", folder, "--with-parent"]
        process = subprocess.Popen(
            [sys.executable, *argv], cwd=PROJECT, env=os.environ, stdout=subprocess.PIPE, text=True
        )
        try:
            make_known(process.stdout.readline().strip())
            yield
        finally:
            process.terminate()
            process.wait(10)


def make_known(address: str) -> None:
    for name, _, _ in STEPS:
        Participant.objects.update_or_create(
            name=name, defaults={"transport": "http", "address": f"{address}/{name}"}
        )
    catalogue.store_definition(DEFINITION)
    # A worker goes on with the participants that it knows for a second.
    time.sleep(1.5)
