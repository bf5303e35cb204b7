"""The demo: participants that fail now and then, and customers who keep booking.

manage.py demo             until it is stopped (`make run` starts it)
manage.py demo --orders    customers order in the shop, too
manage.py demo --mend      end the broken undos of a demo that runs; then retry them
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import urllib3
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from urllib3.exceptions import HTTPError

from examples import bookings
from examples.participants.services import SERVICES
from outbox.statements import DATABASE_IS_AWAY
from sagas.catalogue import store_definition
from sagas.core import definition as core
from sagas.definitions.yaml_format import read_yaml
from sagas.models import Definition, Participant, Saga
from sagas.starting import Start, start_many

log = logging.getLogger(__name__)

EXAMPLES: Path = settings.BASE_DIR / "examples"
DATA: Path = settings.SAGADESK_HOME / "participants"
LOOK_SECONDS = 0.5
SLOW_SECONDS = 60.0


class Trade(NamedTuple):
    """One kind of saga that the demo starts: where it is defined, its keys and its inputs."""

    file: str
    prefix: str
    make_input: Callable[[int], dict[str, Any]]


TRIPS = Trade("travel-booking.yaml", "TRIP", bookings.trip)
ORDERS = Trade("ecommerce-order.yaml", "ORDER", bookings.order)


class Pace(NamedTuple):
    """How fast customers come: the first at once, then evenly, then slowly, then no more."""

    first: int
    every_s: float
    total: int

    def pause_s(self, number: int) -> float | None:
        """Return the pause after the booking with this number; None: it was the last."""
        if number < self.total:
            return self.every_s
        return SLOW_SECONDS if number < 2 * self.total else None


@dataclass
class Customers:
    """Whoever books one trade. They go on where they stopped when the demo starts again."""

    trade: Trade
    definition: str
    pace: Pace
    next_at: float | None = 0.0

    def book(self) -> None:
        """Start the bookings that are due, if any are."""
        if self.next_at is None or time.monotonic() < self.next_at:
            return
        number = next_number(self.trade.prefix)
        last = max(number, self.pace.first)
        if number <= 2 * self.pace.total:
            start_many(self.definition, [self._start(n) for n in range(number, last + 1)])
            log.info("%s: booked %s to %s", self.definition, number, last)
        pause_s = self.pace.pause_s(last)
        self.next_at = None if pause_s is None else time.monotonic() + pause_s

    def _start(self, number: int) -> Start:
        key = key_of(self.trade.prefix, number)
        # A demo of another home with this database books nothing twice.
        return Start(key, self.trade.make_input(number), idempotency_key=f"demo/{key}")


class Command(BaseCommand):
    help = "Run the example participants and let customers book with them."
    # They would load every page of the console into a process that shows none.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--first", type=int, default=60, help="bookings at once (default: 60)")
        parser.add_argument("--every", type=float, default=2.5, help="seconds (default: 2.5)")
        parser.add_argument(
            "--total",
            type=int,
            default=600,
            help="bookings after which one a minute comes, as many again (default: 600)",
        )
        parser.add_argument("--port", type=int, default=9101, help="of the participants")
        parser.add_argument(
            "--orders", action="store_true", help="customers order in the shop, too"
        )
        parser.add_argument("--mend", action="store_true", help="end the broken undos, and exit")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["mend"]:
            self.stdout.write(f"{mend()} broken actions work again.")
            return
        signal.signal(signal.SIGTERM, stop)
        pace = Pace(options["first"], options["every"], options["total"])
        # The shop is open even when nobody of the demo buys there: orders may come from a file.
        definitions = {
            trade: load(EXAMPLES / "definitions" / trade.file) for trade in (TRIPS, ORDERS)
        }
        services = {step.participant for saga in definitions.values() for step in saga.steps}
        with only_demo(), participants(sorted(services), options["port"]) as (process, address):
            register(sorted(services), address)
            self.stdout.write(f"Participants at {address}: {', '.join(sorted(services))}")
            customers = [
                Customers(trade, saga.name, pace)
                for trade, saga in definitions.items()
                if trade == TRIPS or options["orders"]
            ]
            serve(customers, process)


def stop(number: int, frame: object) -> NoReturn:
    sys.exit(0)


def serve(customers: list[Customers], process: subprocess.Popen[str]) -> None:
    """Let customers book until our parent ends. Raises CommandError if the participants do."""
    parent = os.getppid()
    while os.getppid() == parent:
        if process.poll() is not None:
            raise CommandError(f"The participants ended with {process.returncode}.")
        try:
            for customer in customers:
                customer.book()
        except DATABASE_IS_AWAY as error:
            log.warning("The database does not answer, trying again: %s", error)
            connection.close()
        time.sleep(LOOK_SECONDS)


def load(file: Path) -> core.Definition:
    """Store the definition in a file, unless it is stored already."""
    source = file.read_text(encoding="utf-8")
    definition = read_yaml(source, filename=file.name)
    store_definition(definition, format=Definition.Format.YAML, source=source)
    return definition


def register(services: list[str], address: str) -> None:
    """Tell the console where the participants are; whoever is paused stays so."""
    for service in services:
        Participant.objects.update_or_create(
            name=service,
            defaults={"transport": Participant.Transport.HTTP, "address": f"{address}/{service}"},
        )


@contextmanager
def only_demo() -> Iterator[None]:
    """Keep a second demo away from these tables while the block runs."""
    DATA.mkdir(parents=True, exist_ok=True)
    with (DATA / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError("A demo runs here already; `make run` starts one.") from None
        yield


@contextmanager
def participants(services: list[str], port: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the participants' process while the block runs; gives it and its address."""
    arguments = [argument for service in services for argument in ("--service", service)]
    command = [
        *(sys.executable, "-m", "examples.participants", *arguments),
        *("--port", str(free_port(port)), "--data", str(DATA)),
        *("--faults", str(EXAMPLES / "demo-faults.json"), "--with-parent"),
    ]
    with subprocess.Popen(
        command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            address = process.stdout.readline().strip() if process.stdout else ""
            if not address:
                raise CommandError("The participants did not start.")
            yield process, address
        finally:
            process.terminate()


def free_port(wanted: int) -> int:
    """Return the wanted port, or 0 (any) if somebody else has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


def key_of(prefix: str, number: int) -> str:
    return f"{prefix}-{number:05}"


def next_number(prefix: str) -> int:
    """Return the number after the highest that has been booked."""
    keys = Saga.objects.filter(
        # The range is what the index serves.
        business_key__range=(key_of(prefix, 0), key_of(prefix, 99_999)),
        business_key__regex=rf"^{prefix}-\d{{5}}$",
    )
    newest = keys.order_by("-business_key").values_list("business_key", flat=True).first()
    return int(newest.removeprefix(f"{prefix}-")) + 1 if newest else 1


def mend() -> int:
    """End every `broken` rule of the participants that run; return how many there were."""
    rows = Participant.objects.filter(name__in=SERVICES, transport=Participant.Transport.HTTP)
    mended = 0
    for address in sorted({row.address.rpartition("/")[0] for row in rows}):
        rules = ask_faults(address, "GET")["rules"]
        broken = {name: rule | {"broken": 0} for name, rule in rules.items() if "broken" in rule}
        ask_faults(address, "POST", {"rules": broken})
        mended += len(broken)
    return mended


def ask_faults(address: str, method: str, change: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        response = urllib3.request(
            method, f"{address}/_faults", json=change, timeout=5, retries=False
        )
        answer: dict[str, Any] = response.json()
    except (HTTPError, ValueError) as error:
        raise CommandError(f"{address} does not answer: {error}") from None
    return answer
