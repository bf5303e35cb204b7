"""The project's own Celery task: a sign of life."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import before_task_publish

from config import heartbeat


@shared_task(name="config.heartbeat")
def beat_heart() -> None:
    heartbeat.report(heartbeat.Part.WORKER)


# Only beat sends this task, so sending it is beat's sign of life.
@before_task_publish.connect(sender="config.heartbeat")
def note_beat(**kwargs: Any) -> None:
    heartbeat.report(heartbeat.Part.BEAT)
