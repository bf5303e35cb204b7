"""Waking the driver once a transaction has committed; beat's sweep is the safety net."""

from django.conf import settings

from outbox.waking import wake, wake_on_commit

DRIVE_TASK = "sagas.drive"


def wake_driver_on_commit() -> None:
    """Wake a worker after the caller's commit; does nothing when wake-ups are switched off."""
    if settings.SAGAS_WAKE_ON_COMMIT:
        wake_on_commit(DRIVE_TASK)


def wake_driver() -> None:
    """Wake a worker now."""
    if settings.SAGAS_WAKE_ON_COMMIT:
        wake(DRIVE_TASK)
