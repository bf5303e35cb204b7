"""Keeps programs running: what ends unasked is started again, slower each time it fails."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from config.embedded.child import Child, trim
from config.embedded.console import say_now

LONGEST_PAUSE = 30.0
# A program that ran this long has recovered; its next failure counts as the first.
STEADY_SECONDS = 60.0
TRIM_SECONDS = 60.0


@dataclass
class Watched:
    child: Child
    failures: int = 0
    started_at: float = field(default_factory=time.monotonic)
    restart_at: float | None = None


class Keeper:
    """Watches started children; call `look` a few times a second."""

    def __init__(self, *, on_restart: Callable[[], None] = lambda: None) -> None:
        self.watched: list[Watched] = []
        self.on_restart = on_restart
        self.trim_at = time.monotonic() + TRIM_SECONDS

    def keep(self, child: Child) -> None:
        self.watched.append(Watched(child))

    def look(self) -> None:
        """Notice what ended, and start again what is due."""
        now = time.monotonic()
        for watched in self.watched:
            if watched.restart_at is not None:
                if now >= watched.restart_at:
                    self._restart(watched)
            elif not watched.child.is_alive():
                self._plan_restart(watched)
        if now >= self.trim_at:
            self.trim_at = now + TRIM_SECONDS
            for watched in self.watched:
                trim(watched.child.log)

    def _plan_restart(self, watched: Watched) -> None:
        now, child = time.monotonic(), watched.child
        child.reap()
        if now - watched.started_at > STEADY_SECONDS:
            watched.failures = 0
        pause = min(LONGEST_PAUSE, 0.5 * 2**watched.failures) if watched.failures else 0.0
        watched.failures += 1
        watched.restart_at = now + pause
        when = f"in {pause:.0f} s" if pause else "now"
        say_now(f"{child.name} {child.ending()}; starting it again {when} (log: {child.log})")

    def _restart(self, watched: Watched) -> None:
        watched.child.start()
        watched.restart_at = None
        watched.started_at = time.monotonic()
        self.on_restart()
