"""Real workers, really killed, over the real example participants."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from sagas.management.commands.check_effects import compare
from sagas.models import JournalEntry, Participant, Saga
from sagas.starting import Start, start_many
from tests.builders import QUICK, make_participant, make_step, store
from tests.crashes.schedules import SEED

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

SAGAS = 300
KILLS = 8
# Every kill costs the calls in the air an attempt.
STUBBORN = QUICK._replace(attempts=12, initial_s=0.05, cap_s=0.2)
FAULTS = [
    ("FlightService/*", "unavailable", "0.1"),
    ("HotelService/*", "lost", "0.1"),
    ("PaymentService/chargeCard", "business", "0.3"),
]


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def worker() -> Iterator[subprocess.Popen[str]]:
    test_database = f"/{settings.DATABASES['default']['NAME']}"
    with running(
        "tests.sagas.worker",
        DATABASE_URL=urlsplit(os.environ["DATABASE_URL"])._replace(path=test_database).geturl(),
        DJANGO_SETTINGS_MODULE="config.settings",
        SAGADESK_LEASE_SECONDS="1",
        SAGADESK_WAKE_ON_COMMIT="0",
    ) as process:
        yield process


@pytest.fixture
def participants(tmp_path: Path) -> Iterator[Path]:
    """Serve the example participants, faults and all; gives the folder of their tables."""
    faults = [word for fault in FAULTS for word in ("--fault", *fault)]
    serve = ("examples.participants", "--port", "0", "--data", str(tmp_path), *faults)
    with running(*serve) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        for name in ("FlightService", "HotelService", "PaymentService"):
            make_participant(
                name, transport=Participant.Transport.HTTP, address=f"{address}/{name}"
            )
        yield tmp_path


def until(condition: Callable[[], bool], *, within_s: float = 360.0) -> None:
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at, f"seed {SEED}"
        time.sleep(0.02)


def entries() -> int:
    return JournalEntry.objects.count()


@pytest.mark.parametrize("seed", [SEED])
def test_nothing_is_lost_or_doubled_however_often_workers_are_killed(
    participants: Path, seed: int
) -> None:
    """Edge cases 1, 2, 12 and 13."""
    chance = random.Random(seed)
    definition = store(
        *(
            make_step(
                name,
                participant=service,
                action=action,
                compensation=undo,
                retry=STUBBORN,
                undo_retry=STUBBORN,
            )
            for name, service, action, undo in (
                ("Flight", "FlightService", "reserveFlight", "cancelFlightReservation"),
                ("Hotel", "HotelService", "reserveHotel", "cancelHotelReservation"),
                ("Payment", "PaymentService", "chargeCard", "refundPayment"),
            )
        )
    )
    start_many(definition.name, [Start(f"T-{number}", {}) for number in range(SAGAS)])

    for _ in range(KILLS):
        with ExitStack() as workers:
            one, _two = (workers.enter_context(worker()) for _ in range(2))
            enough = entries() + chance.randint(1, 200)
            until(lambda: entries() >= enough or not Saga.objects.moving().exists())  # noqa: B023
            one.kill()
    with worker():
        until(lambda: not Saga.objects.moving().exists())

    report = compare(participants)
    assert report.violations == []
    assert sum(report.sagas.values()) == SAGAS
    assert report.sagas["completed"]
    assert report.sagas["compensated"]
