"""One saga of a simulation: what the real engine keeps in its row and journal."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sagas.core import happenings as h
from sagas.core.decide import advance
from sagas.core.definition import Definition
from sagas.core.journal import Entry, initial
from sagas.core.moves import LOOK_AGAIN_S, Due, Run, Wait, next_moves
from sagas.core.preparing import Prepared, Ready, prepare
from sagas.core.state import ENDED, SagaState
from sagas.narrating import Row
from sagas.participants.calls import Call, call_of


class Flight(NamedTuple):
    """A call in the air."""

    saga: PlayedSaga
    run: Run
    call: Call


@dataclass(eq=False)
class PlayedSaga:
    """A saga of the simulation; the journal is made by the real core."""

    id: uuid.UUID
    business_key: str
    definition: Definition
    input: Any
    state: SagaState = field(init=False)
    journal: list[Entry] = field(default_factory=list)
    # The name of the step as it was when the entry was written: a move may change the places.
    step_names: list[str] = field(default_factory=list)
    traceparent: str = ""

    def __post_init__(self) -> None:
        self.state = initial(len(self.definition.steps))

    def happen(self, happening: h.Happening) -> bool:
        """Record what a happening means; return whether the saga has come to its end by it."""
        had_ended = self.state.status in ENDED
        entries, self.state = advance(self.definition, self.state, happening)
        self.journal += entries
        self.step_names += [
            "" if entry.step is None else self.definition.steps[entry.step].name
            for entry in entries
        ]
        if isinstance(happening, h.Ordered) and happening.target is not None:
            self.definition = happening.target
        return self.state.status in ENDED and not had_ended

    def moves(self, now: float) -> list[Due]:
        return next_moves(self.definition, self.state, now)

    def looks_again_at(self, now: float) -> float | None:
        """Return the next time at which something happens by itself, or None."""
        times = [
            self.state.starts_at,
            self.state.deadline,
            *(step.wake_at for step in self.state.steps),
        ]
        for move in self.moves(now):
            if isinstance(move, Wait):
                # What waits without a time is only looked at again, in case it was missed.
                idle = move.until == now + LOOK_AGAIN_S and move.until not in times
                return None if idle else move.until
        return None

    @property
    def name(self) -> str:
        return str(self.id)

    @property
    def given(self) -> tuple[Any, dict[str, str]]:
        """The first input, and what expressions know of the saga itself."""
        return self.input, {"id": self.name, "business_key": self.business_key}

    def prepare(self, run: Run, now: float) -> Prepared:
        return prepare(self.definition, self.state, run, now, self.given)

    def call(self, run: Run, now: float) -> Call:
        """Return what the participant of this run is told."""
        prepared = self.prepare(run, now)
        input = prepared.input if isinstance(prepared, Ready) else None
        return call_of(self, run, input, state=self.state, now=now)

    def rows(self) -> list[Row]:
        """Return the journal as `narrating` takes it."""
        named = zip(self.journal, self.step_names, strict=True)
        return [
            (number, entry.kind, entry.at, name, entry.data)
            for number, (entry, name) in enumerate(named, start=1)
        ]
