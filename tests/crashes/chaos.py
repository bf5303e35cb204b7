"""Real workers and servers, killed at random under load: `make chaos`.

Three Celery workers, beat, Redis and PostgreSQL over a throw-away home; sagas start all the time,
and their participants keep tables of their own. Whoever works or serves is killed or stopped for
a while, one after the other. In the end everything comes to rest, and then nothing may be lost,
done twice or left behind.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg

from config.embedded.child import Child
from config.embedded.console import say, say_now
from config.embedded.home import PROJECT, make_temporary_home, remove_home
from config.embedded.programs import LEAN
from config.embedded.servers import Servers, serve
from config.embedded.supervisor import manage

WORKERS = 3
LEASE_S = 5
# A process stands still for longer than its leases last.
LONGEST_STOP_S = 15.0
# What is left to do when the blows end is done within this time, or never.
REST_WITHIN_S = 180.0
# Participants that fail in every way, beside what happens to the engine.
FAULTS = [
    ("FlightService/*", "unavailable", "0.05"),
    ("HotelService/*", "lost", "0.05"),
    ("PaymentService/chargeCard", "business", "0.2"),
]
MOVING = "SELECT count(*) FROM sagas_saga WHERE due_at IS NOT NULL"
UNPUBLISHED = "SELECT count(*) FROM outbox_delivery"


class Stopped(NamedTuple):
    """Processes that stand still until this time (monotonic)."""

    name: str
    processes: list[psutil.Process]
    until: float


class Chaos:
    """Keeps programs running and strikes them."""

    def __init__(self, children: list[Child], *, seed: int, longest_stop_s: float) -> None:
        self.children = children
        self.strikes = 0
        self._chance = random.Random(seed)
        self._longest_stop_s = longest_stop_s
        self._restart_at: dict[str, float] = {}
        self._stopped: list[Stopped] = []
        self._strike_at = 0.0

    def rage(self, seconds: float) -> None:
        """Strike again and again for so long; then let everybody go on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            if time.monotonic() >= self._strike_at:
                self._strike()
                self._strike_at = time.monotonic() + self._chance.uniform(0.5, 4.0)
            time.sleep(0.05)
        self._let_go(float("inf"))

    def look(self) -> None:
        """Wake those whose time has come; start again what has ended."""
        self._let_go(time.monotonic())
        for child in self.children:
            if child.is_alive():
                continue
            # The pause of whoever starts it again; of a good one.
            due = self._restart_at.setdefault(child.name, time.monotonic() + 0.5)
            if time.monotonic() >= due:
                child.reap()
                child.start()
                del self._restart_at[child.name]

    def _strike(self) -> None:
        standing = {stopped.name for stopped in self._stopped}
        free = [c for c in self.children if c.is_alive() and c.name not in standing]
        if not free:
            return
        child = self._chance.choice(free)
        way = self._chance.choice((self._kill, self._kill, self._kill_one, self._stop))
        self.strikes += 1
        way(child)

    def _kill(self, child: Child) -> None:
        say_now(f"kill {child.name}")
        for process in family(child):
            end(process, signal.SIGKILL)

    def _kill_one(self, child: Child) -> None:
        """Kill the main process, or one of those that it has made."""
        process = self._chance.choice(family(child))
        say_now(f"kill process {process.pid} of {child.name} {child.pid}")
        end(process, signal.SIGKILL)

    def _stop(self, child: Child) -> None:
        seconds = self._chance.uniform(1.0, self._longest_stop_s)
        say_now(f"stop {child.name} for {seconds:.1f} s")
        processes = family(child)
        for process in processes:
            end(process, signal.SIGSTOP)
        self._stopped.append(Stopped(child.name, processes, time.monotonic() + seconds))

    def _let_go(self, now: float) -> None:
        for stopped in [stopped for stopped in self._stopped if stopped.until <= now]:
            self._stopped.remove(stopped)
            for process in stopped.processes:
                end(process, signal.SIGCONT)


def family(child: Child) -> list[psutil.Process]:
    """Return the process of a child and all that come from it."""
    try:
        process = psutil.Process(child.pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal; psutil makes sure that the pid is still that process's."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def programs(servers: Servers) -> list[Child]:
    """Return the workers and beat."""
    environment = (
        servers.environment()
        | LEAN
        | {
            "SAGADESK_LEASE_SECONDS": str(LEASE_S),
            "SAGADESK_LANE_LEASE_SECONDS": str(LEASE_S),
            "SAGADESK_LOG_LEVEL": "WARNING",
        }
    )
    celery = [sys.executable, "-m", "celery", "-A", "config"]
    lonely = ["--concurrency=1", "--without-gossip", "--without-mingle"]
    argv = {"beat": [*celery, "beat", "--pidfile="]} | {
        f"worker{n}": [*celery, "worker", f"--hostname=worker{n}@%h", *lonely]
        for n in range(WORKERS)
    }
    logs = servers.home.logs
    return [
        Child(name=name, argv=words, log=logs / f"{name}.log", env=environment, folder=PROJECT)
        for name, words in argv.items()
    ]


@contextmanager
def started(child: Child) -> Iterator[Child]:
    child.start()
    try:
        yield child
    finally:
        child.stop()


def participants(servers: Servers, data: Path) -> Child:
    faults = [word for fault in FAULTS for word in ("--fault", *fault)]
    serving = ["examples.participants", "--port", "0", "--data", str(data), *faults]
    return Child(
        name="participants",
        argv=[sys.executable, "-um", *serving],
        log=servers.home.logs / "participants.log",
        folder=PROJECT,
    )


def loader(servers: Servers, address: str, starts: Path) -> Child:
    return Child(
        name="loader",
        argv=[sys.executable, "-m", "tests.crashes.chaos_load", address, str(starts)],
        log=servers.home.logs / "loader.log",
        env=servers.environment() | {"SAGADESK_LOG_LEVEL": "ERROR"},
        folder=PROJECT,
        stop_seconds=60,
    )


def count(url: str, query: str) -> int | None:
    """Return what is counted; None while the database is away."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            row = connection.execute(query).fetchone()
            return int(row[0]) if row else None
    except psycopg.OperationalError:
        return None


def until(condition: Callable[[], object], look: Callable[[], None], *, within_s: float) -> bool:
    """Look until the condition holds; say whether it did in time."""
    give_up_at = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        look()
        time.sleep(0.2)
    return True


def run(seconds: float, seed: int) -> list[str]:
    """Let chaos rage; return what is wrong afterwards."""
    home = make_temporary_home()
    starts, data = home.root / "starts", home.root / "participants"
    with ExitStack() as stack:
        stack.callback(remove_home, home)
        servers = stack.enter_context(serve(home))
        os.environ.update(servers.urls, SAGADESK_HOME=str(home.root))
        manage(servers, "migrate", "--verbosity=0")
        services = stack.enter_context(started(participants(servers, data)))
        assert until(lambda: "http://" in services.log.read_text(), lambda: None, within_s=30)
        address = services.log.read_text().strip()
        chaos = Chaos(
            [*programs(servers), *servers.children],
            seed=seed,
            longest_stop_s=min(LONGEST_STOP_S, seconds / 6),
        )
        for child in chaos.children:
            if not child.is_alive():
                stack.enter_context(started(child))
        load = stack.enter_context(started(loader(servers, address, starts)))
        assert until(lambda: starts.exists() and starts.stat().st_size, chaos.look, within_s=60)
        chaos.rage(seconds)
        say_now(f"{chaos.strikes} strikes; now everything comes to rest")
        wrong = list(rest(servers.urls["DATABASE_URL"], load, chaos.look))
        wrong += judge(starts, data)
        if wrong:
            kept = tempfile.mkdtemp(prefix="sagadesk-chaos-")
            shutil.copytree(home.logs, kept, dirs_exist_ok=True)
            say(f"The logs are kept in {kept}.")
        return wrong


def rest(url: str, load: Child, look: Callable[[], None]) -> Iterator[str]:
    """Wait until nothing moves any more; give what does not come to rest."""
    assert load.process is not None
    load.process.send_signal(signal.SIGTERM)
    if not until(lambda: not load.is_alive(), look, within_s=60):
        yield "the starts do not come through"
    elif load.process.returncode:
        yield f"the loader {load.ending()}:\n{load.tail()}"
    for what, query in {
        "sagas still move": MOVING,
        "messages are not published": UNPUBLISHED,
    }.items():
        if not until(lambda query=query: count(url, query) == 0, look, within_s=REST_WITHIN_S):
            yield f"{count(url, query)} {what}"


def judge(starts: Path, data: Path) -> list[str]:
    """Compare what was acknowledged, what is stored, and what the participants did."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from tests.crashes.chaos_judge import judge_all

    return list(judge_all(starts, data))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    say(f"Chaos for {options.seconds:g} s, SEED={options.seed}")
    # Whatever happens, it ends: the children end with this process.
    signal.alarm(int(options.seconds + 2 * REST_WITHIN_S + 180))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wrong = run(options.seconds, options.seed)
    for what in wrong:
        say(f"WRONG: {what}")
    say(f"{len(wrong)} findings, SEED={options.seed}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
