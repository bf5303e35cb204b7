"""The database's clock, read without a round trip."""

import time


class DatabaseClock:
    """Tells the database's time between two readings of it.

    A reading anchors it; from there a monotonic clock carries it on. The worker's own wall
    clock is never asked, so a wrong one changes nothing.
    """

    def __init__(self) -> None:
        self._offset: float | None = None

    def anchor(self, database_now: float) -> None:
        """Take a reading: seconds since the epoch, as the database has just told them."""
        self._offset = database_now - time.monotonic()

    def now(self) -> float:
        """Return the database's time in seconds since the epoch.

        To the microsecond, as the database keeps it: the fold of a stored journal has to give
        the very state that was stored.
        """
        if self._offset is None:
            raise RuntimeError("The database's clock has not been read yet.")
        return round(self._offset + time.monotonic(), 6)
