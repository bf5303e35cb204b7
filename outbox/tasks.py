"""What Celery runs for the outbox."""

from __future__ import annotations

from celery import shared_task

from outbox.publishing import RELAY_TASK
from outbox.purging import purge_published
from outbox.relay import drain
from outbox.waking import clear_wake


@shared_task(name=RELAY_TASK)
def relay() -> int:
    """Publish what is ready; safe to run twice at the same time."""
    # Before reading: whatever is committed from here on wakes the relay again.
    clear_wake(RELAY_TASK)
    return drain()


@shared_task(name="outbox.purge")
def purge() -> int:
    """Drop what was published long ago."""
    return purge_published()
