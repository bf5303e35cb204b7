"""What is done with the sagas of one round: decide what has come in, run the callables here."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

from sagas.core import happenings as h
from sagas.core.moves import Run
from sagas.engine.clock import DatabaseClock
from sagas.engine.deciding import Decider
from sagas.engine.held import Change, Held
from sagas.engine.performing import Performed, perform_batch, perform_local
from sagas.engine.routing import Here, Routing
from sagas.participants.batches import BatchAction, in_batches
from sagas.participants.local import Savepoints

# A saga in hand, and what has come in for it, if anything.
Taken = tuple[Held, list[h.Happening]]
# Callables get this long in one transaction; those that are left over get the next one.
PERFORM_S = 1.0


class Performer:
    """Works for one driver, in the transaction of its round."""

    def __init__(self, routing: Routing, decider: Decider, clock: DatabaseClock) -> None:
        self._routing = routing
        self._decider = decider
        self._clock = clock
        # Sagas that this round's ones wait for in a circle.
        self.giving_way: set[uuid.UUID] = set()

    def perform(self, taken: list[Taken], changes: list[Change], give_back: bool) -> None:
        """Decide what the results mean and run the callables that are ready; adds to `changes`."""
        savepoints = Savepoints()
        stop_at = time.monotonic() + PERFORM_S
        together: dict[BatchAction, list[tuple[int, Held, Run]]] = {}
        with savepoints.watching():
            for change in self._decide(taken, give_back):
                held, run, now = change.held, change.local, self._decider.now
                # A step is durable before the next one begins.
                at_rest = not (change.entries or change.sends)
                if run is not None and at_rest and time.monotonic() < stop_at:
                    action = self._routing.callable_of(held, run)
                    if isinstance(action, BatchAction):
                        # Ready for the next round, unless there is time in this one.
                        together.setdefault(action, []).append((len(changes), held, run))
                    else:
                        performed = perform_local(action, held, run, now=now, savepoints=savepoints)
                        change = self._hear(held, performed, give_back)
                changes.append(change)
            for batch_action, members in in_batches(together):
                if time.monotonic() >= stop_at:
                    break
                now = self._decider.now = self._clock.now()
                runs = [(held, run) for _, held, run in members]
                results = perform_batch(batch_action, runs, now=now, savepoints=savepoints)
                for (place, held, _), performed in zip(members, results, strict=True):
                    changes[place] = self._hear(held, performed, give_back)

    def _foreseen(self, held: Held) -> Change | None:
        """Return what was found to come next with the last change, unless it cannot be done now."""
        run, held.foreseen = held.foreseen, None
        if run is None or held.locking:
            return None
        if not isinstance(self._routing.route(held.definition, run), Here):
            return None
        return Change(held, [], held.state, local=run)

    def _decide(self, taken: list[Taken], give_back: bool) -> Iterator[Change]:
        """Yield the change of each saga; those that want locks come last, and ask together."""
        wanting: list[Change] = []
        self.giving_way = set()
        try:
            yield from self._decide_each(taken, give_back, wanting)
        except BaseException:
            # Nobody else knows of them yet.
            for change in wanting:
                self._decider.release(change)
            raise
        if wanting:
            self.giving_way = self._decider.take_locks(wanting, give_back)
            yield from wanting

    def _decide_each(
        self, taken: list[Taken], give_back: bool, wanting: list[Change]
    ) -> Iterator[Change]:
        for held, happenings in taken:
            # Read once for each saga: what is decided for it happens at one time.
            self._decider.now = self._clock.now()
            change = None if happenings or give_back else self._foreseen(held)
            change = change or self._decider.decide(held, happenings, give_back)
            if change.wants:
                wanting.append(change)
            else:
                yield change

    def _hear(self, held: Held, performed: Performed, give_back: bool) -> Change:
        change = self._decider.decide(held, [performed.happening], give_back)
        change.touched = performed.touched
        return change
