"""The drivers of this worker process, kept from task to task with connections and threads.

One driver works in the task's own thread. When it meets a full batch, a second one helps in
another thread, on a database connection of its own: while PostgreSQL writes for one of them, the
other one thinks. More of them only wait for each other.
"""

from __future__ import annotations

import gc
from concurrent.futures import Future, ThreadPoolExecutor

from django.db import connection

from outbox.waking import clear_wake
from sagas import missing
from sagas.engine.driver import Driver
from sagas.engine.waking import DRIVE_TASK, wake_driver


class _Seat:
    """A place for one driver; a driver that broke is replaced at the next drive."""

    def __init__(self) -> None:
        self._driver: Driver | None = None

    def drive(self, budget_s: float, crew: _Crew | None = None) -> bool:
        if self._driver is None:
            self._driver = Driver()
        try:
            if crew is None:
                return self._driver.drive(budget_s=budget_s)
            return self._driver.drive(
                budget_s=budget_s, on_full_batch=lambda: crew.call_helper(budget_s)
            )
        except BaseException:
            broken, self._driver = self._driver, None
            broken.close()
            connection.close()
            raise


class _Crew:
    """The driver of the task's thread and its helper."""

    def __init__(self) -> None:
        self._first, self._second = _Seat(), _Seat()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="driver")
        self._helping: Future[bool] | None = None

    def call_helper(self, budget_s: float) -> None:
        if self._helping is None:
            self._helping = self._thread.submit(self._second.drive, budget_s)

    def drive(self, budget_s: float) -> bool:
        more = self._first.drive(budget_s, self)
        helping, self._helping = self._helping, None
        return (helping is not None and helping.result()) or more


_crew: _Crew | None = None


def drive_due(*, budget_s: float = 10.0) -> None:
    """Drive everything that is due, for at most about `budget_s`; wake again when more is left.

    Whatever breaks it off (the database restarts, the process dies) leaves leases that end by
    themselves; the next call finds the sagas due again.
    """
    global _crew
    # Before reading: a start that commits from here on sets the flag anew.
    clear_wake(DRIVE_TASK)
    if _crew is None:
        _calm_collector()
        _crew = _Crew()
    more = _crew.drive(budget_s)
    missing.report()
    if more:
        wake_driver()


def _calm_collector() -> None:
    """Let the garbage collector leave alone what was loaded for good, and look less often.

    A batch makes thousands of objects and hardly a cycle: looking for some took a seventh of a
    worker's time.
    """
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
