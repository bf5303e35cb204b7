"""What the participants did, compared with what each step has come to.

Two witnesses again: the journal and the participants' own tables. `check_effects` asks whether a
saga as a whole is done or undone; here every step of every saga must agree with its table.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from django.db import connection

from examples.check_orders import read_effects
from sagas.core.definition import Step, StepType
from sagas.core.state import StepState, StepStatus
from sagas.engine.intervening import state_of
from sagas.models import JournalEntry, Saga
from tests.crashes.chaos.callables import PARTICIPANT

# In these nobody knows, or an operator has decided.
EITHER = frozenset({0, 1})
STANDING = {
    StepStatus.SUCCEEDED: frozenset({1}),
    StepStatus.COMPENSATED: frozenset({0}),
    StepStatus.PENDING: frozenset({0}),
    StepStatus.FAILED: frozenset({0}),
    StepStatus.SKIPPED: frozenset({0}),
}


class Done(NamedTuple):
    """What was done for one step of a saga: how often, and how much of it stands."""

    times: int = 0
    standing: int = 0


Place = tuple[str, str]


def effects_elsewhere(data: Path) -> dict[Place, Done]:
    """Return what the services did, by saga and step."""
    done: dict[Place, Done] = defaultdict(Done)
    for effect in read_effects(data):
        before = done[effect.saga_id, effect.step]
        done[effect.saga_id, effect.step] = Done(before.times + 1, before.standing + effect.stands)
    return done


def effects_here() -> dict[Place, Done]:
    """Return what our callables did, by saga and step; an undo takes away what stands."""
    done: dict[Place, Done] = defaultdict(Done)
    with connection.cursor() as cursor:
        cursor.execute("SELECT saga_id, step, direction FROM chaos_effects ORDER BY id")
        for saga_id, step, direction in cursor.fetchall():
            place = str(saga_id), step
            forward = direction == "forward"
            times, standing = done[place]
            done[place] = Done(times + forward, standing + (1 if forward else -1))
    return done


def doubled_keys() -> Iterator[str]:
    """Give the keys under which a callable's effect is there more than once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT key FROM chaos_effects")
        keys = Counter(key for (key,) in cursor.fetchall())
    yield from (f"{key} was done {times} times" for key, times in keys.items() if times > 1)


def contradictions(sagas: Iterable[Saga], data: Path) -> Iterator[str]:
    """Give every step whose table says something else than its state."""
    done = effects_elsewhere(data) | effects_here()
    rewound = set(
        JournalEntry.objects.filter(kind="rewound").values_list("saga_id", flat=True).iterator()
    )
    for saga in sagas:
        definition, state = state_of(saga)
        for step, own in zip(definition.steps, state.steps, strict=True):
            if step.type != StepType.ACTION:
                continue
            found = done.pop((str(saga.pk), step.name), Done())
            allowed = standing_allowed(step, own)
            if found.standing not in allowed:
                yield (
                    f"{saga.business_key}: {step.name} is {own.status} and stands"
                    f" {found.standing} times"
                )
            if found.times > 1 and saga.pk not in rewound:
                yield f"{saga.business_key}: {step.name} was done {found.times} times"
    yield from (f"{step} of saga {saga_id} belongs to no saga" for saga_id, step in done)


def standing_allowed(step: Step, own: StepState) -> frozenset[int]:
    """Return how often the effect of a step in this state may stand."""
    if own.in_doubt and own.status != StepStatus.SUCCEEDED:
        # Nothing is in doubt about a callable that wrote into this database.
        return frozenset({0}) if step.participant == PARTICIPANT else EITHER
    return STANDING.get(own.status, EITHER)
