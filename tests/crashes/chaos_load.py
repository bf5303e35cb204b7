"""Starts sagas until it is told to stop: `python -m tests.crashes.chaos_load ADDRESS FILE`.

Every start that was acknowledged is a line "key id" in the file. One that failed is repeated under
its key until it is acknowledged.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

import psycopg  # noqa: E402
from django.db import Error, connection  # noqa: E402

from sagas.models import Participant  # noqa: E402
from sagas.starting import Start, Started, start_many  # noqa: E402
from tests.builders import QUICK, make_participant, make_step, store  # noqa: E402

BATCH = 5
PAUSE_S = 0.2
# Every strike costs the calls in the air an attempt.
STUBBORN = QUICK._replace(attempts=60, initial_s=0.2, cap_s=2.0, total_s=3_600.0)
STEPS = (
    ("Flight", "FlightService", "reserveFlight", "cancelFlightReservation"),
    ("Hotel", "HotelService", "reserveHotel", "cancelHotelReservation"),
    ("Payment", "PaymentService", "chargeCard", "refundPayment"),
)


def prepare(address: str) -> None:
    for service in ("FlightService", "HotelService", "PaymentService"):
        make_participant(
            service, transport=Participant.Transport.HTTP, address=f"{address}/{service}"
        )
    store(
        *(
            make_step(
                name,
                participant=service,
                action=action,
                compensation=undo,
                retry=STUBBORN,
                undo_retry=STUBBORN,
            )
            for name, service, action, undo in STEPS
        ),
        name="chaos",
    )


def start_batch(starts: list[Start]) -> list[Started]:
    while True:
        try:
            return start_many("chaos", starts)
        except (Error, psycopg.Error):
            connection.close()
            time.sleep(PAUSE_S)


def main(address: str, file: Path) -> None:
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    prepare(address)
    with file.open("w", buffering=1) as out:
        for number in itertools.count():
            if stopping:
                return
            keys = [f"chaos-{number}-{n}" for n in range(BATCH)]
            done = start_batch([Start(key, {}, idempotency_key=key) for key in keys])
            out.writelines(f"{k} {s.saga_id}\n" for k, s in zip(keys, done, strict=True))
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
