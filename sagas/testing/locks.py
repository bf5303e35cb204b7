"""The locks of a simulation: one table for all its sagas, by the rules of `sagas.core.locking`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sagas.core import deadlocks, locking
from sagas.core import happenings as h
from sagas.core.deadlocks import Edge
from sagas.core.definition import Definition
from sagas.core.expressions import ExpressionError
from sagas.core.moves import Run
from sagas.core.state import SagaState, StepStatus, WaitsFor
from sagas.testing.played import PlayedSaga


class Place(NamedTuple):
    """A saga that holds a lock, or waits for it."""

    lock: str
    saga: uuid.UUID


class LockTable:
    """Who holds which lock, and who waits for it, in the order in which they came."""

    def __init__(self, sagas: Sequence[PlayedSaga]) -> None:
        self.holders: dict[str, uuid.UUID] = {}
        self.queue: list[Place] = []
        # Every lock that a saga has ever had.
        self.taken: set[Place] = set()
        # All of the simulation, those that come later, too.
        self._sagas = sagas
        # Who has to give way there, and finds that out at the next look.
        self._called: set[Place] = set()

    def obstacle(self, saga: PlayedSaga, run: Run, now: float) -> h.Blocked | h.Failed | None:
        """Take what a run wants; return what happens instead of it when that cannot be."""
        blocked = saga.state.steps[run.step].blocked
        if blocked is not None:
            self._called.discard(Place(blocked["lock"], saga.id))
        try:
            names = locking.wanted(saga.definition, saga.state, run, saga.given)
        except ExpressionError as problem:
            return locking.failed(run, "InvalidMapping", str(problem), now)
        taken = locking.take(names, saga.id, self.holders)
        self.taken |= {Place(n, saga.id) for n in names if self.holders.get(n) == saga.id}
        if taken is None:
            return None
        refused = locking.turned_away(saga.definition, run, taken, now)
        return refused or self._stop(saga, run, taken, now)

    def _stop(
        self, saga: PlayedSaga, run: Run, taken: locking.Taken, now: float
    ) -> h.Blocked | h.Failed:
        place = Place(taken.name, saga.id)
        if place not in self.queue:
            self.queue.append(place)
        edges = list(self._edges())
        stopped = locking.stopped(edges, saga.id, run, taken, now)
        if isinstance(stopped, h.Blocked):
            victims = deadlocks.victims(edges, saga.id)
            self._called |= {waiting for waiting in self.queue if waiting.saga in victims}
        else:
            self.queue.remove(place)
        return stopped

    def _edges(self) -> Iterator[Edge]:
        for lock, waiter in self.queue:
            holder = self.holders.get(lock, waiter)
            if holder != waiter:
                yield Edge(waiter, lock, holder)
        for saga in self._sagas:
            for step in saga.state.steps:
                if step.status == StepStatus.WAITING and step.waits_for == WaitsFor.SAGA:
                    yield Edge(saga.id, "", uuid.UUID(step.child))

    def holds_up(self, saga: PlayedSaga, run: Run) -> bool:
        """Say whether a run would do no more than go on waiting."""
        blocked = saga.state.steps[run.step].blocked
        if blocked is None:
            return False
        place = Place(blocked["lock"], saga.id)
        if place in self._called or place not in self.queue:
            return False
        return self.holders.get(place.lock, saga.id) != saga.id

    def settle(self, saga: PlayedSaga, definition: Definition, before: SagaState) -> None:
        """Do what follows for the locks when a saga has come from one state to another."""
        if not (definition.takes_locks or saga.definition.takes_locks):
            return
        gone = locking.given_up(saga.definition, before, saga.state)
        self.queue = [p for p in self.queue if p.saga != saga.id or p.lock not in gone]
        if locking.gives_back(saga.definition, saga.state):
            for name in self.of(saga):
                self.hand_over(name)

    def hand_over(self, name: str) -> None:
        """Give a lock to whoever has waited longest for it and can take it, else set it free."""
        del self.holders[name]
        able = {saga.id for saga in self._sagas if locking.may_inherit(saga.state)}
        heir = next(
            (place for place in self.queue if place.lock == name and place.saga in able), None
        )
        if heir is not None:
            self.queue.remove(heir)
            self.holders[name] = heir.saga
            self.taken.add(heir)

    def of(self, saga: PlayedSaga) -> list[str]:
        """Return the locks that a saga holds, by name."""
        return sorted(name for name, holder in self.holders.items() if holder == saga.id)
