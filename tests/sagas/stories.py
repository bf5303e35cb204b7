"""Telling the story of one saga in the core alone, by a clock of its own."""

from __future__ import annotations

from typing import Any

from sagas.core import happenings as h
from sagas.core.decide import advance
from sagas.core.definition import Definition
from sagas.core.evolving import fold
from sagas.core.journal import Entry, Kind, initial
from sagas.core.moves import Move, Run, Wait, next_move
from sagas.core.state import SagaState, StepState
from sagas.core.undo import undo_set
from sagas.core.verbs import Verb, why_not

BEGIN = 1_000.0


def an_error(*, retryable: bool = True) -> dict[str, Any]:
    return {"class": "Broken", "message": "It broke.", "retryable": retryable}


class Story:
    """A saga of this definition from its start on; `now` is the time at which things happen."""

    def __init__(self, definition: Definition, *, starts_at: float | None = None) -> None:
        self.definition = definition
        self.now = BEGIN
        self.journal: list[Entry] = []
        self.state: SagaState = initial(len(definition.steps))
        self.flying: Run | None = None
        self.happens(h.Started(self.now, starts_at=starts_at))

    def happens(self, happening: h.Happening) -> Story:
        entries, self.state = advance(self.definition, self.state, happening)
        self.journal += entries
        return self

    @property
    def move(self) -> Move:
        return next_move(self.definition, self.state, self.now)

    @property
    def kinds(self) -> list[str]:
        """The journal as "kind Step", without the start."""
        return [
            entry.kind.value
            if entry.step is None
            else f"{entry.kind} {self.definition.steps[entry.step].name}"
            for entry in self.journal[1:]
        ]

    def step(self, name: str) -> StepState:
        return self.state.steps[self.definition.index_of(name)]

    def undo_names(self) -> list[str]:
        return [self.definition.steps[index].name for index in undo_set(self.state)]

    def folded(self) -> SagaState:
        return fold(initial(len(self.definition.steps)), self.journal)

    def run(self) -> Run:
        """Return the run in the air, or the one that comes next."""
        if self.flying is not None:
            return self.flying
        move = self.move
        assert isinstance(move, Run), move
        return move

    def send(self) -> Story:
        run = self.run()
        self.happens(h.Sent(self.now, run.step, run.direction, run.attempt))
        self.flying = run
        return self

    def succeed(self, output: Any = None) -> Story:
        return self._land(h.Succeeded(self.now, *self._where(), output))

    def fail(self, **details: Any) -> Story:
        """Answer with an error that may pass; `details` are those of Failed."""
        return self._land(h.Failed(self.now, *self._where(), an_error(), **details))

    def refuse(self) -> Story:
        """Answer with a definite no."""
        return self._land(h.Failed(self.now, *self._where(), an_error(retryable=False)))

    def lose_answer(self) -> Story:
        return self._land(h.Unknown(self.now, *self._where(), an_error()))

    def accept(self) -> Story:
        """Answer that the reply follows; the run stays in the air."""
        run = self.run()
        self.happens(h.Accepted(self.now, run.step, run.direction, run.attempt))
        self.flying = run
        return self

    def wait(self) -> Story:
        """Let the time pass until something is due."""
        move = self.move
        assert isinstance(move, Wait), move
        self.now = move.until
        return self

    def time_out(self) -> Story:
        """Let what is due by now happen: a start, an overdue reply, a deadline."""
        move = self.move
        assert isinstance(move, h.StartDue | h.ReplyOverdue | h.DeadlinePassed), move
        self.flying = None
        return self.happens(move)

    def order(self, verb: Verb, step: str | None = None) -> Story:
        refusal = why_not(self.definition, self.state, verb)
        assert refusal is None, refusal
        index = None if step is None else self.definition.index_of(step)
        return self.happens(h.Ordered(self.now, verb, "operator", "because", index, "receipt 7"))

    def _where(self) -> tuple[Any, ...]:
        run = self.run()
        return run.step, run.direction, run.attempt

    def _land(self, result: h.Result) -> Story:
        self.flying = None
        return self.happens(result)

    def last(self, kind: Kind) -> Entry:
        return next(entry for entry in reversed(self.journal) if entry.kind == kind)
