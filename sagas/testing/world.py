"""Sagas, calls in the air and replies on their way, under a clock that stands still.

It does what the driver does, one thing at a time, in an order that a test can choose.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sagas.core import happenings as h
from sagas.core.definition import Definition, Step, StepType
from sagas.core.mapping import outputs
from sagas.core.moves import Run, Wait
from sagas.core.preparing import Ready
from sagas.testing import children
from sagas.testing.answers import Answer, Outcome, to_happening, to_probed
from sagas.testing.locks import LockTable
from sagas.testing.participants import Participants, at_reply
from sagas.testing.played import Flight, PlayedSaga

# 1 January 2026: a time like any other, and always the same.
BEGAN = 1_767_225_600.0


# A call to be made, or a time that has passed.
Task = Run | h.StartDue | h.ReplyOverdue | h.DeadlinePassed


class Letter(NamedTuple):
    """A reply on its way."""

    at: float
    flight: Flight
    answer: Answer


class World:
    def __init__(
        self,
        definitions: Mapping[str, Definition],
        participants: Participants,
        *,
        seed: int | None = None,
        order: Sequence[str] = (),
    ) -> None:
        self.now = BEGAN
        self.participants = participants
        self.definitions = dict(definitions)
        self.sagas: list[PlayedSaga] = []
        # Those that steps have started, by the idempotency keys of these starts.
        self.children: dict[str, PlayedSaga] = {}
        self.locks = LockTable(self.sagas)
        self.in_air: list[Flight] = []
        self.mail: list[Letter] = []
        # Which entries of whose journals came when, by their places.
        self.log: list[tuple[PlayedSaga, int]] = []
        self._random = None if seed is None else random.Random(seed)
        self._order = list(order)

    def start(
        self,
        definition: Definition,
        input: Any,
        business_key: str,
        parent: dict[str, str] | None = None,
        *,
        starts_at: float | None = None,
    ) -> PlayedSaga:
        saga = PlayedSaga(uuid.UUID(int=len(self.sagas) + 1), business_key, definition, input)
        self.sagas.append(saga)
        self.happen(saga, h.Started(self.now, parent, starts_at))
        return saga

    def happen(self, saga: PlayedSaga, happening: h.Happening) -> None:
        """Record what happens, and tell the saga that has started this one when it has ended."""
        before = len(saga.journal)
        definition, state = saga.definition, saga.state
        ended = saga.happen(happening)
        self.locks.settle(saga, definition, state)
        self.log += [(saga, place) for place in range(before, len(saga.journal))]
        if ended and saga.state.parent is not None:
            parent = self.find(saga.state.parent["saga"])
            step = parent.definition.index_of(saga.state.parent["step"])
            self.happen(parent, self.end_of(saga, step))

    def end_of(self, saga: PlayedSaga, step: int) -> h.ChildEnded:
        """Return what the step that has started a saga is told of its end."""
        told = outputs(saga.definition, saga.state)
        cause = saga.state.cause
        return h.ChildEnded(self.now, step, str(saga.id), saga.state.status, told, cause)

    def find(self, saga_id: str) -> PlayedSaga:
        return next(saga for saga in self.sagas if str(saga.id) == saga_id)

    def tick(self) -> bool:
        """Do one thing that can be done without time passing; return whether there was one."""
        if letters := [letter for letter in self.mail if letter.at <= self.now]:
            self._deliver(letters[0])
            return True
        things = list(self._things())
        if not things:
            return False
        # Whatever can be begun is begun before anything lands, unless chance decides.
        thing = things[0] if self._random is None else self._random.choice(things)
        if isinstance(thing, Flight):
            self._land(thing)
        else:
            self._begin(*thing)
        return True

    def next_time(self) -> float | None:
        """Return when something happens by itself; None: never."""
        times = [saga.looks_again_at(self.now) for saga in self.sagas]
        times += [letter.at for letter in self.mail]
        return min((at for at in times if at is not None), default=None)

    def lose_worker(self, *, took_effect: bool) -> None:
        """Let the worker die that has sent what is in the air."""
        flights, self.in_air = self.in_air, []
        for flight in flights:
            answer = Answer(outcome=Outcome.CRASHED, took_effect=took_effect)
            if not flight.run.probe:
                self.participants.carry_out(step_of(flight), flight.call, answer)
        for saga in dict.fromkeys(flight.saga for flight in flights):
            self.happen(saga, h.LeaseLost(self.now))

    def reply(self, flight: Flight, answer: Answer) -> None:
        """Hand in a reply, whether or not anybody waits for it."""
        answer = self.participants.carry_out(step_of(flight), flight.call, at_reply(answer))
        self.happen(flight.saga, to_happening(answer, self.now, flight.run[:3]))

    def _things(self) -> Iterator[tuple[PlayedSaga, Task] | Flight]:
        for saga in self.sagas:
            for move in saga.moves(self.now):
                if not isinstance(move, Wait) and not self._stays(saga, move):
                    yield saga, move
        yield from sorted(self.in_air, key=self._place)

    def _place(self, flight: Flight) -> int:
        name = flight.call.step
        return self._order.index(name) if name in self._order else len(self._order)

    def _stays(self, saga: PlayedSaga, move: Task) -> bool:
        """Say whether it waits for a lock, or is a probe in the air, recorded when it lands."""
        if isinstance(move, Run) and self.locks.holds_up(saga, move):
            return True
        return any(flight.saga is saga and flight.run == move for flight in self.in_air)

    def _begin(self, saga: PlayedSaga, move: Task) -> None:
        if not isinstance(move, Run):
            self.happen(saga, move)
            return
        prepared = saga.prepare(move, self.now)
        step = saga.definition.steps[move.step]
        if saga.definition.takes_locks and isinstance(prepared, Ready | h.Waiting):
            obstacle = self.locks.obstacle(saga, move, self.now)
            if obstacle is not None:
                self.happen(saga, obstacle)
                return
        if not isinstance(prepared, Ready):
            self.happen(saga, prepared)
        elif step.type == StepType.SAGA:
            self.happen(saga, children.run(self, saga, move, prepared.input))
        else:
            self._send(saga, step, move)

    def _send(self, saga: PlayedSaga, step: Step, run: Run) -> None:
        call = saga.call(run, self.now)
        self.participants.hear(step, call, at=self.now, probe=run.probe)
        if not run.probe:
            self.happen(saga, h.Sent(self.now, *run[:3]))
        self.in_air.append(Flight(saga, run, call))

    def _land(self, flight: Flight) -> None:
        if flight.run.probe:
            self._land_probe(flight)
            return
        answer = self.participants.answer(step_of(flight), flight.call)
        if answer.outcome == Outcome.CRASHED:
            # What else was in the air goes down with it.
            self.in_air.remove(flight)
            self.lose_worker(took_effect=answer.took_effect)
            self.happen(flight.saga, h.LeaseLost(self.now))
            return
        self.in_air.remove(flight)
        self.happen(flight.saga, to_happening(answer, self.now, flight.run[:3]))
        if answer.reply is not None:
            letter = Letter(self.now + answer.after_s, flight, answer.reply)
            self.mail += [letter] * answer.copies
            self.mail.sort(key=lambda letter: letter.at)

    def _land_probe(self, flight: Flight) -> None:
        self.in_air.remove(flight)
        answer, has_it = self.participants.probe(step_of(flight), flight.call)
        where = (self.now, flight.run.step, flight.run.attempt)
        absent = h.Probed(*where, "absent")
        self.happen(flight.saga, to_probed(answer, *where) if has_it else absent)

    def _deliver(self, letter: Letter) -> None:
        self.mail.remove(letter)
        self.reply(letter.flight, letter.answer)


def step_of(flight: Flight) -> Step:
    return flight.saga.definition.steps[flight.run.step]
