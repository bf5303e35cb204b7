"""Killing and stopping whoever works or serves, one after the other, and starting them again."""

from __future__ import annotations

import random
import signal
import time
from typing import NamedTuple

import psutil

from config.embedded.child import Child
from config.embedded.console import say_now

# A process stands still for longer than its leases last.
LONGEST_STOP_S = 15.0


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
