"""Lets a beat say on its log when it fires a schedule (SAGADESK_MODULES)."""

from __future__ import annotations

from typing import Any

from celery.signals import before_task_publish

from config.embedded.console import say
from sagas.scheduling.plans import TASK

FIRED = "A schedule is fired."


@before_task_publish.connect(sender=TASK)
def tell(**kwargs: Any) -> None:
    say(FIRED)
