"""The relay: lease lanes, read what is ready, publish it, and only then mark it as done.

A relay that dies between publishing and marking leaves deliveries that the next one publishes
again, with the same message id: at least once. A relay that was overtaken finds its epoch gone and
marks nothing. Within a route the messages of one key are published in order.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections import Counter
from itertools import count, groupby
from operator import attrgetter
from socket import gethostname
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from outbox import relay_statements as statements
from outbox.breaker import breaker_of, resting_routes
from outbox.delivering import Outcome, deliver
from outbox.exceptions import Unavailable
from outbox.models import Route
from outbox.publishing import RELAY_TASK
from outbox.relay_statements import ActiveRoute, Claim, Pending, Work
from outbox.settling import record_trouble
from outbox.statements import RawConnection, raw_connection
from outbox.transports import TRANSPORTS
from outbox.waking import wake

logger = logging.getLogger(__name__)

# Half of them, so that two relays have something to do.
LANES_PER_CLAIM = 32
DEFAULT_BUDGET_S = 1.0

_claims = count(1)


def drain(*, budget_s: float = DEFAULT_BUDGET_S) -> int:
    """Publish batch after batch until nothing is ready or the time is up; return how many moved.

    When work is left it wakes the relay again, so that other tasks of the worker get their turn.
    """
    batch = relay_once()
    moved = batch.moved
    deadline = time.monotonic() + budget_s
    while batch.has_more:
        if time.monotonic() >= deadline:
            wake(RELAY_TASK)
            break
        batch = relay_once(promote=False)
        moved += batch.moved
    return moved


class Batch(NamedTuple):
    """How many deliveries a batch got out of the way, and whether there was more to take.

    What is committed after the batch was read does not count: its own wake-up does.
    """

    moved: int
    has_more: bool


def relay_once(*, promote: bool = True) -> Batch:
    """Publish one batch; first make ready what has waited long enough, unless told not to.

    Safe to run in any number of processes. Not to be called inside a transaction.
    """
    claim = Claim(
        owner=f"{gethostname()}:{os.getpid()}:{next(_claims)}"[:100],
        lease_s=settings.OUTBOX_LANE_LEASE_SECONDS,
        lanes=LANES_PER_CLAIM,
        batch=settings.OUTBOX_BATCH_SIZE,
        resting=resting_routes(),
        promote=promote,
    )
    with connection.wrap_database_errors:
        raw = raw_connection()
        work = statements.claim_and_read(raw, claim)
        if not work.leases:
            return Batch(0, has_more=False)
        until = time.monotonic() + claim.lease_s / 2
        outcomes = [
            (route, _deliver_route(route, pending, until)) for route, pending in _by_route(work)
        ]
        moved = _settle(raw, work.leases, outcomes, claim.owner)
    return Batch(moved, has_more=moved > 0 and _has_more(work, outcomes, claim))


def _has_more(work: Work, outcomes: list[tuple[ActiveRoute, Outcome]], claim: Claim) -> bool:
    """Tell whether the claim or a lane's share was used up, or something was left or freed."""
    share = max(claim.batch // len(work.leases), 1)
    taken = Counter((delivery.route_id, delivery.lane) for delivery in work.pending)
    return (
        len(work.leases) == claim.lanes
        or max(taken.values(), default=0) >= share
        or any(outcome.has_trouble for _, outcome in outcomes)
        or sum(outcome.count for _, outcome in outcomes) < len(work.pending)
    )


def _by_route(work: Work) -> list[tuple[ActiveRoute, list[Pending]]]:
    parts = [
        (work.routes[route_id], list(pending))
        for route_id, pending in groupby(work.pending, key=attrgetter("route_id"))
        # A route that was resumed between the two statements comes with the next batch.
        if route_id in work.routes
    ]
    # So that a slow route does not always take the time of the same others.
    random.shuffle(parts)
    return parts


def _deliver_route(route: ActiveRoute, pending: list[Pending], until: float) -> Outcome:
    breaker = breaker_of(route.id)
    transport = TRANSPORTS.get(route.transport)
    if transport is None:
        unknown = Unavailable(f"This relay knows no transport {route.transport}.")
        outcome = Outcome(unavailable=unknown)
    else:
        outcome = deliver(transport, route.target, pending[: breaker.allowance], until=until)
    if outcome.unavailable:
        breaker.record_outage()
        _note_outage(route, outcome.unavailable)
    elif outcome.done or outcome.failed:
        breaker.record_success(settings.OUTBOX_BATCH_SIZE)
        if route.has_outage:
            Route.objects.filter(pk=route.id).update(outage_since=None, outage_error="")
    return outcome


def _note_outage(route: ActiveRoute, error: Unavailable) -> None:
    first = Route.objects.filter(pk=route.id, outage_since__isnull=True)
    if first.update(outage_since=Now(), outage_error=str(error)):
        logger.warning("Route %s rests: %s", route.name, error)


def _settle(
    raw: RawConnection,
    leases: dict[int, int],
    outcomes: list[tuple[ActiveRoute, Outcome]],
    owner: str,
) -> int:
    """Write down what became of a batch and give the lanes back.

    What went through at the first attempt is marked by itself, so that trouble with the rest (a
    keeper of dead letters that raises, say) never makes it go out twice.
    """
    smooth: list[Pending] = []
    has_trouble = False
    for _, outcome in outcomes:
        smooth += [d for d in outcome.done if not d.attempts and d.letter_id is None]
        has_trouble |= outcome.has_trouble
    statements.finish(raw, leases, smooth, owner=owner, release=not has_trouble)
    if not has_trouble:
        return len(smooth)
    try:
        with transaction.atomic(durable=True):
            return len(smooth) + record_trouble(raw, leases, outcomes, owner)
    except Exception:
        logger.exception("What failed in a batch could not be written down; it is tried again")
        statements.finish(raw, leases, [], owner=owner, release=True)
        return len(smooth)
