"""Bugs put into the engine on purpose: checks that find nothing else have to find these."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from outbox import relay
from outbox.delivering import Outcome
from sagas.barrier import barrier
from sagas.barrier.models import HandledCall
from sagas.core import decide, evolving, retrying
from sagas.core.happenings import Failed, Unknown
from sagas.core.moves import Run
from sagas.core.state import Direction
from sagas.engine import performing, rounds, statements
from sagas.participants import calls
from sagas.scheduling import plans
from tests.crashes.fuse import Schedule, Way
from tests.crashes.schedules import one_by_one

Patch = pytest.MonkeyPatch


def no_epoch_check(patch: Patch) -> None:
    """A worker whose lease has ended goes on as if it had not."""
    for name in ("UPDATE", "RENEW", "RELOAD"):
        leave_out(patch, name, " AND s.epoch = c.epoch", " AND s.epoch = held.epoch")


def leave_out(patch: Patch, statement: str, *guards: str) -> None:
    original = getattr(statements, statement)
    text = original
    for guard in guards:
        text = text.replace(guard, "")
    assert text != original
    patch.setattr(statements, statement, text)


def no_undo_budget(patch: Patch) -> None:
    """An undo is tried for ever."""
    original = retrying.next_attempt_at

    def for_ever(definition: Any, state: Any, result: Failed | Unknown) -> float | None:
        backward = result.direction == Direction.BACKWARD
        return result.at + 1 if backward else original(definition, state, result)

    patch.setattr(decide, "next_attempt_at", for_ever)


def a_key_per_attempt(patch: Patch) -> None:
    """Participants cannot tell a repeated call from a new one."""
    original = calls.idempotency_key

    def key(saga_id: object, step_name: str, run: Run) -> str:
        return f"{original(saga_id, step_name, run)}/{run.attempt}"

    patch.setattr(calls, "idempotency_key", key)


def callables_outside_of_the_transaction(patch: Patch) -> None:
    """What a callable writes is committed before its result is."""
    original = performing.perform_local

    def perform(*args: Any, **options: Any) -> Any:
        performed = original(*args, **options)
        statements.raw_connection().execute("COMMIT; BEGIN")
        return performed

    patch.setattr(rounds, "perform_local", perform)


def marked_before_it_is_published(patch: Patch) -> None:
    """A relay that dies between the two loses messages."""
    original = relay._deliver_route

    def mark_first(route: Any, pending: Sequence[Any], until: float) -> Outcome:
        ids = [delivery.id for delivery in pending]
        relay.raw_connection().execute("DELETE FROM outbox_delivery WHERE id = ANY(%s)", [ids])
        return original(route, list(pending), until)

    patch.setattr(relay, "_deliver_route", mark_first)


def starts_forget_their_key(patch: Patch) -> None:
    """A start that is repeated starts another saga."""
    forgets = statements.INSERT_STARTS.replace("n.idempotency_key", "NULL")
    assert forgets != statements.INSERT_STARTS
    patch.setattr(statements, "INSERT_STARTS", forgets)


def no_tombstone(patch: Patch) -> None:
    """An undo that finds nothing leaves no trace, so that the action may come later."""
    original = barrier._take

    def take(key: Any, **outcome: Any) -> Any:
        if outcome["outcome"] == HandledCall.Outcome.TOMBSTONE:
            return None, False
        return original(key, **outcome)

    patch.setattr(barrier, "_take", take)


def the_key_of_before_the_edit(patch: Patch) -> None:
    """A retry with another input gets the answer that the participant gave to the old one."""
    original = evolving.grant
    patch.setattr(
        evolving,
        "grant",
        lambda step, edited=False: original(step, edited=edited)._replace(
            generation=step.generation
        ),
    )


def rewound_under_the_old_key(patch: Patch) -> None:
    """A step that is begun anew gets the answer that its participant gave before."""
    original = evolving.begin_anew
    patch.setattr(
        evolving, "begin_anew", lambda step: original(step)._replace(generation=step.generation)
    )


def slots_forget_their_key(patch: Patch) -> None:
    """Two beats start a saga each."""
    patch.setattr(plans, "key_of", lambda schedule, slot: str(uuid.uuid4()))


class Bug(NamedTuple):
    """A bug, the scenario that it shows itself in, and the schedules to look through."""

    put_in: Callable[[Patch], None]
    scenario: str
    schedules: Callable[[int], list[Schedule]]

    def __str__(self) -> str:
        return self.put_in.__name__


def kills(points: int) -> list[Schedule]:
    return one_by_one(Way.KILL, range(1, points + 1))


def kills_from_the_end(points: int) -> list[Schedule]:
    return one_by_one(Way.KILL, range(points, 0, -1))


def stalls(points: int) -> list[Schedule]:
    """Return stalls in the first half, during which another worker gets more or less far."""
    return one_by_one(Way.STALL, range(1, points // 2, 3), others=(15, 25, 35))


BUGS = [
    Bug(no_epoch_check, "calls in a queue", stalls),
    Bug(no_undo_budget, "undo failing", lambda points: [()]),
    Bug(a_key_per_attempt, "calls", kills_from_the_end),
    Bug(callables_outside_of_the_transaction, "local", kills),
    Bug(marked_before_it_is_published, "calls", kills_from_the_end),
    Bug(starts_forget_their_key, "local", kills),
    Bug(no_tombstone, "behind the barrier", lambda points: one_by_one(Way.STALL, range(1, points))),
    Bug(the_key_of_before_the_edit, "retried with another input", lambda points: [()]),
    Bug(rewound_under_the_old_key, "rewound", lambda points: [()]),
    Bug(slots_forget_their_key, "a schedule", lambda points: [()]),
]
