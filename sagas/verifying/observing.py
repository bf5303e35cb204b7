"""What came of a play, and playing it in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sagas.core.definition import Definition, StepType
from sagas.core.journal import Kind
from sagas.core.state import Direction, SagaState, StepStatus, WaitsFor
from sagas.testing import Simulation, simulate
from sagas.testing.participants import Participants
from sagas.verifying.plays import Director, Play, as_written, rehearsal


class Observed(NamedTuple):
    """How a play ended. Steps are named in the order in which things happened to them."""

    status: str
    # In the order in which they were begun.
    began: tuple[str, ...]
    # One entry per undo that got through.
    undone: tuple[str, ...]
    # Whose effects stand, and how many effects each step ever had.
    standing: tuple[str, ...]
    effects: Mapping[str, int]
    # The keys under which each step's undo was called, one per call.
    undo_keys: Mapping[str, tuple[str, ...]]
    # The locks that it has ever held, and those that it holds at the end, as they are written.
    locked: tuple[str, ...] = ()
    still_locked: tuple[str, ...] = ()


def observe(
    state: SagaState,
    names: list[str],
    journal: Iterable[tuple[str, str]],
    participants: Participants,
) -> Observed:
    """Gather what came of a play; the journal is given as kinds and names of steps."""
    begun = sorted((step.order, name) for step, name in zip(state.steps, names, strict=True))
    effects = list(participants.effects.by_key.values())
    keys: dict[str, tuple[str, ...]] = {}
    for called in participants.calls:
        if called.direction == Direction.BACKWARD:
            keys[called.step] = (*keys.get(called.step, ()), called.key)
    return Observed(
        status=state.status.value,
        began=tuple(name for order, name in begun if order),
        undone=tuple(name for kind, name in journal if kind == Kind.UNDO_SUCCEEDED),
        standing=tuple(effect.step for effect in effects if effect.stands),
        effects={name: sum(e.step == name for e in effects) for name in names},
        undo_keys=keys,
    )


def play_in_memory(definition: Definition, play: Play) -> Observed:
    """Play it with the core alone; the step in trouble answers after those side by side with it."""
    played = rehearsal(definition, play)
    names = [step.name for step in played.steps]
    run = simulate(played, order=[name for name in names if name != play.step])
    director = Director(play)
    for step in played.steps:
        for action in (step.action, step.compensation):
            if step.type == StepType.ACTION and action:
                run.on(step.participant, action, director)
    _bring_to_end(run, played, play)
    journal = zip((entry.kind for entry in run.journal), run.step_names, strict=True)
    return observe(run.state, names, journal, run.participants)._replace(
        locked=as_written(definition, run.taken_locks),
        still_locked=as_written(definition, run.locks),
    )


def _bring_to_end(run: Simulation, definition: Definition, play: Play) -> None:
    """Play the people and the outside world, too."""
    for _ in range(2 * len(definition.steps) + 1):
        run.to_end()
        waiting = [
            (definition.steps[place], step.waits_for)
            for place, step in enumerate(run.state.steps)
            if step.status == StepStatus.WAITING
        ]
        for step, waits_for in waiting:
            if waits_for == WaitsFor.SIGNAL:
                run.signal(step.signal)
            elif waits_for == WaitsFor.APPROVAL:
                decision = "reject" if step.name == play.step else "approve"
                run.order(decision, step=step.name)
