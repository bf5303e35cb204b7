"""For services that run Celery; others call the command `purge_barrier`."""

from celery import shared_task

from sagas.barrier.purging import purge_handled


@shared_task(name="sagas_barrier.purge")
def purge() -> int:
    """Drop the calls that nobody can repeat any more."""
    return purge_handled()
