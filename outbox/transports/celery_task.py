"""Celery tasks: one call per message, a batch in one command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from outbox import celery_messages
from outbox.cloudevents import structured
from outbox.relay_statements import Pending
from outbox.transports.redis_client import client, reachable


class CeleryTask:
    """Calls the task that the target names with `message`, a CloudEvent as a dict.

    Celery may run the calls of one key at the same time: they are enqueued in order, no more.
    """

    def send(self, target: str, messages: Sequence[Pending]) -> Mapping[int, Exception]:
        calls = [
            celery_messages.build_encoded(target, f'{{"message": {structured(message)}}}')
            for message in messages
        ]
        # One LPUSH takes all of them or none.
        with reachable():
            client().lpush(celery_messages.queue_name(), *calls)
        return {}
