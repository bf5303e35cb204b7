"""Celery's side of the engine: the wake-up and the sweep are the same task."""

from datetime import UTC, datetime
from typing import Any

from celery import Task, shared_task
from celery.signals import before_task_publish

from sagas.engine.running import drive_due
from sagas.reply_consumer import take_replies
from sagas.retention.retaining import retain
from sagas.scheduling.firing import fire
from sagas.scheduling.plans import TASK as START_SCHEDULED


@shared_task(name="sagas.drive")
def drive() -> None:
    """Drive what is due. Safe to run at any time, any number of times at once."""
    drive_due()


@shared_task(name="sagas.take_replies")
def take_stream_of_replies() -> None:
    """Take the replies on the stream; any number of consumers may do so at once."""
    take_replies()


@shared_task(name=START_SCHEDULED, bind=True)
def start_scheduled(task: Task[Any, Any], /, schedule: int, **plan: Any) -> None:
    """Start what a schedule calls for; what counts is its row, not what was sent with it."""
    fired_at = task.request.get("fired_at")
    fire(schedule, datetime.fromisoformat(fired_at) if fired_at else None)


# Beat decides by its own clock that a slot has come; so the same clock has to say which one.
@before_task_publish.connect(sender=START_SCHEDULED)
def note_firing(headers: dict[str, Any], **kwargs: Any) -> None:
    headers["fired_at"] = datetime.now(UTC).isoformat()


@shared_task(name="sagas.retain")
def retain_sagas() -> None:
    """Archive or drop what ended long ago; safe to run twice at the same time."""
    retain()
