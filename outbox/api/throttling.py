"""How many requests a caller may make in a minute.

Counted in Redis, for all web processes together. Without it nobody is held back: the limit is for
programs that run wild, and the API must answer while Redis is down.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from outbox.quick_redis import RestingRedis, client, key

WINDOW_S = 60

_redis = RestingRedis("Redis counts no requests (%d not counted)")


class PerMinute(BaseThrottle):
    """A limit per account; one per address for whoever has not logged in. 0 is no limit."""

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.user and request.user.is_authenticated:
            limit, caller = settings.API_RATE, f"user:{request.user.pk}"
        else:
            limit, caller = settings.API_ANONYMOUS_RATE, f"address:{self.get_ident(request)}"
        if not limit:
            return True
        window = int(time.time() // WINDOW_S)
        count = _redis.run(lambda: _count(key(f"requests:{caller}:{window}")))
        return count is None or count <= limit

    def wait(self) -> float:
        """Return how long the present minute still lasts."""
        return WINDOW_S - time.time() % WINDOW_S


def _count(place: str) -> int:
    with client().pipeline(transaction=False) as pipeline:
        pipeline.incr(place)
        pipeline.expire(place, 2 * WINDOW_S)
        count, _ = pipeline.execute()
    return int(count)
