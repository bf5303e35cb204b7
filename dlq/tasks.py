"""What Celery runs for the dead letters."""

from __future__ import annotations

from celery import shared_task

from dlq.purging import purge_settled


@shared_task(name="dlq.purge")
def purge() -> int:
    """Drop what was settled long ago."""
    return purge_settled()
