"""Celery messages as kombu's Redis transport stores them, so that one LPUSH enqueues a task.

Celery's own `apply_async` may wait for a broker that is down, and tops out at some 2,000 messages a
second. This is Celery's message protocol 2 on kombu's list layout; a test holds it against what
`app.send_task` really leaves on the queue.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from os import getpid
from socket import gethostname
from typing import Any
from uuid import uuid4

from django.conf import settings

_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def queue_name() -> str:
    """Return the Redis key of the list that the workers read."""
    return str(settings.CELERY_TASK_DEFAULT_QUEUE)


def build(
    task: str,
    kwargs: Mapping[str, Any] | None = None,
    *,
    task_id: str | None = None,
    expires_s: float | None = None,
) -> bytes:
    """Return one call of a task as it lies on the queue.

    With `expires_s` a worker that finds the message later than that drops it.
    """
    return build_encoded(task, json.dumps(kwargs or {}), task_id=task_id, expires_s=expires_s)


def build_encoded(
    task: str, kwargs_json: str, *, task_id: str | None = None, expires_s: float | None = None
) -> bytes:
    """Return one call of a task whose keyword arguments are JSON text already."""
    task_id = task_id or str(uuid4())
    body = f"[[], {kwargs_json}, {json.dumps(_EMBED)}]"
    message = {
        "body": b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": _headers(task, task_id, expires_s),
        "properties": _properties(task_id, expires_s),
    }
    return json.dumps(message).encode()


def _headers(task: str, task_id: str, expires_s: float | None) -> dict[str, Any]:
    expires = None
    if expires_s is not None:
        expires = (datetime.now(UTC) + timedelta(seconds=expires_s)).isoformat()
    return {
        "lang": "py",
        "task": task,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": expires,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": "()",
        "kwargsrepr": "{...}",
        "origin": _origin(),
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def _properties(task_id: str, expires_s: float | None) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "correlation_id": task_id,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue_name()},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid4()),
    }
    if expires_s is not None:
        properties["expiration"] = str(int(expires_s * 1000))
    return properties


@cache
def _origin() -> str:
    return f"sagadesk{getpid()}@{gethostname()}"
