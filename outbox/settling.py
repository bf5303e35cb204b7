"""Writing down what did not go through at once: retries, dead letters, blocked keys."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping

from django.conf import settings

from outbox import dying
from outbox import relay_statements as statements
from outbox.delivering import Outcome
from outbox.errors import describe
from outbox.exceptions import Poison
from outbox.models import Delivery, Route
from outbox.relay_statements import ActiveRoute, Failure, Pending
from outbox.statements import RawConnection

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 300.0

Failed = tuple[ActiveRoute, Pending, Exception]


def record_trouble(
    raw: RawConnection,
    leases: Mapping[int, int],
    outcomes: Iterable[tuple[ActiveRoute, Outcome]],
    owner: str,
) -> int:
    """Record everything but first-time successes, in the caller's transaction; free the lanes.

    Nothing is written about lanes that are no longer ours. Returns how many deliveries are out of
    the way: published, dead, waiting or parked.
    """
    outcomes = list(outcomes)
    retried = [d for _, o in outcomes for d in o.done if d.attempts or d.letter_id is not None]
    held, letters = statements.finish(raw, leases, retried, owner=owner, release=True, wait=True)
    dying.recover(letters)
    failed = [(r, d, e) for r, o in outcomes for d, e in o.failed if d.lane in held]
    freed = {(d.route_id, d.key) for d in retried if d.lane in held}
    freed |= _record_failures(raw, failed)
    blocked = [d for _, o in outcomes for d in o.blocked if d.lane in held]
    parked = statements.park(raw, blocked)
    # Last, because it also frees what has just been parked behind a head that is gone.
    statements.release_keys(raw, freed)
    return len(retried) + len(failed) + parked


def _record_failures(raw: RawConnection, failed: list[Failed]) -> set[tuple[int, str]]:
    """Let failed deliveries wait or die; return the keys that go on because their head died."""
    if not failed:
        return set()
    failures = [_judge(route, delivery, error) for route, delivery, error in failed]
    recorded = statements.record_failures(raw, failures)
    dead = [
        (route, delivery, error)
        for (route, delivery, error), failure in zip(failed, failures, strict=True)
        if failure.status != Delivery.Status.WAITING and delivery.id in recorded
    ]
    letters = dying.bury([_dead(*each, recorded[each[1].id]) for each in dead])
    if letters:
        statements.set_letters(raw, letters)
    return {(d.route_id, d.key) for route, d, _ in dead if route.on_dead != Route.OnDead.PARK}


def _judge(route: ActiveRoute, delivery: Pending, error: Exception) -> Failure:
    limit = route.max_attempts or settings.OUTBOX_MAX_ATTEMPTS
    attempt = delivery.attempts + 1
    # A dead letter that is reprocessed has one attempt: the operator waits for its outcome.
    if isinstance(error, Poison) or delivery.letter_id is not None or attempt >= limit:
        parks = route.on_dead == Route.OnDead.PARK
        status = Delivery.Status.BLOCKING if parks else Delivery.Status.DEAD
    else:
        status = Delivery.Status.WAITING
    return Failure(delivery.id, status, json.dumps(describe(error)), delay_after(attempt))


def delay_after(attempt: int) -> float:
    """Return the seconds to wait after a failed attempt: 1, 2, 4, ... 300, ± 50 %.

    The jitter keeps what failed together from coming back together.
    """
    delay: float = min(FIRST_DELAY_S * 2 ** (attempt - 1), LONGEST_DELAY_S)
    return delay * random.uniform(0.5, 1.5)


def _dead(
    route: ActiveRoute, delivery: Pending, error: Exception, errors: str
) -> dying.DeadDelivery:
    return dying.DeadDelivery(
        id=delivery.id,
        route=route.name,
        reason="poison" if isinstance(error, Poison) else "attempts_spent",
        message_id=delivery.message_id,
        type=delivery.type or "",
        key=delivery.key,
        payload=json.loads(delivery.payload or "null"),
        headers=json.loads(delivery.headers or "{}"),
        saga_id=delivery.saga_id,
        errors=json.loads(errors),
    )
