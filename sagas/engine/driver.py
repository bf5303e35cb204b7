"""The driver: one loop that takes due sagas, performs their steps and records what came out.

Each round of the loop is one transaction: the results that have come in, the local callables
that are ready, and the calls about to be sent are recorded together; calls leave only after it.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from psycopg.errors import DeadlockDetected

from outbox.statements import DATABASE_IS_AWAY
from sagas import catalogue
from sagas.core import happenings as h
from sagas.core.decide import is_expected
from sagas.core.state import from_json
from sagas.engine import intervening, locks, recording, statements
from sagas.engine.clock import DatabaseClock
from sagas.engine.deciding import DEFER_S, Decider
from sagas.engine.flights import Flights
from sagas.engine.gate import Gate
from sagas.engine.held import Change, Held
from sagas.engine.performing import happening_of
from sagas.engine.rounds import Performer, Taken
from sagas.engine.routing import Routing
from sagas.exceptions import DefinitionUnreadable

logger = logging.getLogger(__name__)

# While calls are in the air, new sagas are looked for this often.
LOOK_PAUSE_S = 0.05
# This often at least.
MOST_PAUSE_S = 0.4
# After its budget a driver waits for slow calls; for so long it goes on with other sagas.
LINGER_S = 20.0
# What came to nothing needs no hearing when the saga has been taken over; these do.
LATE = (h.Succeeded, h.Unknown)
# A saga that the engine itself cannot go on with is tried again after this time.
SET_ASIDE_S = 60.0


class Driver:
    """Holds sagas by lease and drives them until they end or have to wait.

    A driver belongs to one thread. `close()` gives its threads and connections back.
    """

    def __init__(
        self,
        *,
        batch_size: int | None = None,
        lease_s: float | None = None,
        concurrency: int | None = None,
    ) -> None:
        self.batch_size = batch_size or settings.SAGAS_BATCH_SIZE
        self.lease_s = lease_s or settings.SAGAS_LEASE_SECONDS
        self._clock = DatabaseClock()
        self._routing = Routing()
        slots = concurrency or settings.SAGAS_HTTP_CONCURRENCY
        self._gate = Gate(slots, room=self.batch_size, lease_s=self.lease_s)
        self._decider = Decider(self._routing, self._gate)
        self._performer = Performer(self._routing, self._decider, self._clock)
        # As many again for slow calls.
        self._flights = Flights(2 * slots)
        # To be looked at, and come in but not recorded.
        self._ready: list[Held] = []
        self._results: list[tuple[Held, h.Happening]] = []
        # With calls in the air or waiting for one, and something else to do at this time.
        self._watched: dict[Held, float] = {}
        self._looked_at = self._renewed_at = float("-inf")
        self._look_pause_s = LOOK_PAUSE_S
        self._more_due = False
        # Rounds that take one saga at a time, because a batch with all of them failed.
        self._careful_rounds = 0

    def drive(
        self, *, budget_s: float = 10.0, on_full_batch: Callable[[], None] = lambda: None
    ) -> bool:
        """Drive what is due; return whether more may be due when the budget is spent.

        After the budget no more sagas are taken; those held are driven to a point where they
        can be given back. As long as slow calls are waited for, the others go on, for a while.
        `on_full_batch` is called whenever as many were due as were asked for.
        """
        self._looked_at, self._renewed_at = float("-inf"), time.monotonic()
        statements.tune_for_driving()
        more = self._drive_until(time.monotonic() + budget_s, on_full_batch)
        self._gate.settle()
        return more

    def _drive_until(self, stop_at: float, on_full_batch: Callable[[], None]) -> bool:
        while True:
            now = time.monotonic()
            out_of_time = now >= stop_at
            self._gate.only_prompt = out_of_time
            give_back = out_of_time and not (self._gate.slow and now < stop_at + LINGER_S)
            room = 0 if give_back else self._room()
            if not room and not self._held():
                return out_of_time
            self._round(room, give_back=give_back)
            if room and self._more_due:
                on_full_batch()
            if not self._held() and not self._more_due and not self._gate.has_recalls():
                return False
            self._renew()

    def close(self) -> None:
        """End the threads and close the kept-alive connections."""
        self._flights.close()

    def _held(self) -> set[Held]:
        return {
            *self._ready,
            *self._gate.held(),
            *(held for held, _ in self._results),
            *self._flights.held(),
        }

    def _room(self) -> int:
        """Return how many more sagas to take now.

        A batch of local steps is driven to its end before the next one: its sagas go in step,
        so that every transaction is a full one. With calls in the air new ones are looked for
        now and then.
        """
        if self._ready or self._results:
            return 0
        waiting = self._gate.waiting
        in_hand = self._flights.count or waiting
        pause_s = LOOK_PAUSE_S if self._gate.has_recalls() else self._look_pause_s
        if in_hand and time.monotonic() - self._looked_at < pause_s:
            return 0
        most = 1 if self._careful_rounds else self.batch_size
        # Slow calls take nobody's room.
        return max(0, most - waiting - self._gate.prompt)

    def _round(self, room: int, *, give_back: bool) -> None:
        """Take what has come in, what is ready and what is due; record it in one transaction."""
        self._take_arrivals(patient=not room)
        self._take_waiting(give_back)
        changes: list[Change] = []
        taken: list[Taken] = []
        try:
            with transaction.atomic():
                found = self._take_due(room) if room else 0
                turned_away = self._gate.turned_away
                taken = self._take_batch()
                if self._routing.refresh():
                    self._gate.obey(self._routing.policy)
                self._performer.perform(taken, changes, give_back)
                self._pace(found, self._gate.turned_away - turned_away)
                recording.write([c for c in changes if c.writes], lease_s=self.lease_s)
                intervening.tell_parents(changes)
                self._more_due |= locks.settle(changes, self._performer.giving_way)
        except recording.StaleBatch as stale:
            self._start_over(changes, stale.ids)
        except DeadlockDetected:
            # Somebody locked the same rows in another order; nothing was done.
            self._start_over(changes, set())
        except DATABASE_IS_AWAY:
            raise
        except Exception as error:
            # Broad on purpose: whatever is wrong with one saga must not stop the others.
            self._isolate(taken, changes, error)
        else:
            for change in changes:
                self._go_on(change)

    def _take_arrivals(self, *, patient: bool) -> None:
        busy = self._ready or self._results or self._gate.is_pressing()
        waits = patient and not busy and (self._flights.count or self._gate.waiting)
        for landing in self._flights.arrivals(LOOK_PAUSE_S if waits else 0.0):
            held, run, answer = landing.held, landing.run, landing.answer
            self._gate.land(landing.flight, landing.seconds, answer)
            held.in_air.discard(run)
            self._results.append((held, happening_of(answer, run, at=self._clock.now())))

    def _take_waiting(self, give_back: bool) -> None:
        """Look again at sagas that may make their call now, or whose time has come."""
        self._ready += self._gate.call_up(everyone=give_back)
        if self._watched:
            now = self._clock.now()
            self._ready += [held for held, at in self._watched.items() if at <= now]

    def _pace(self, found: int, turned_away: int) -> None:
        """Look less often for what is due while all of it has to wait for slow participants."""
        if found:
            longer = min(2 * self._look_pause_s, MOST_PAUSE_S)
            self._look_pause_s = longer if turned_away >= found else LOOK_PAUSE_S

    def _take_due(self, room: int) -> int:
        """Lock sagas that are due; what this transaction records makes them ours by lease."""
        self._looked_at = time.monotonic()
        if recalled := self._gate.recall():
            statements.recall(recalled)
        rows = statements.lock_due(room)
        self._more_due = len(rows) == room
        if not rows:
            return 0
        self._clock.anchor(max(row.now for row in rows))
        for row in rows:
            try:
                held = Held.of(row, catalogue.compiled({row.definition_id})[row.definition_id])
            except Exception as error:
                # What is stored of it cannot be read.
                logger.exception("Saga %s cannot be read", row.id)
                # Another worker may be of the newer release that wrote it.
                newer = isinstance(error, DefinitionUnreadable)
                pause_s = DEFER_S if newer else SET_ASIDE_S
                statements.set_aside(row.id, row.epoch, str(error), seconds=pause_s)
                continue
            if any(step.sent for step in held.state.steps):
                self._results.append((held, h.LeaseLost(self._clock.now())))
            else:
                self._ready.append(held)
        return len(rows)

    def _take_batch(self) -> list[Taken]:
        """Return what this round deals with: everything, or one saga while a batch is suspect."""
        taken: dict[Held, list[h.Happening]] = {}
        for held, happening in self._results:
            taken.setdefault(held, []).append(happening)
        for held in self._ready:
            taken.setdefault(held, [])
        self._results, self._ready = [], []
        batch = list(taken.items())
        if self._careful_rounds:
            self._careful_rounds -= 1
            # What is only locked comes first: the lock ends with this transaction.
            batch.sort(key=lambda item: item[0].leased)
            self._put_back(batch[1:])
            batch = batch[:1]
        batch = self._leave_children(batch)
        if self._gate.waiting or self._watched:
            for held, _ in batch:
                self._gate.forget(held)
                self._watched.pop(held, None)
        return batch

    def _leave_children(self, batch: list[Taken]) -> list[Taken]:
        """Leave sagas whose parents are in the batch to a later round.

        A parent that is undone gives its child an order in the transaction of its own change; a
        change of that child in the same transaction would be stale, this time and every time.
        """
        if not any(held.state.parent for held, _ in batch):
            return batch
        names = {held.name for held, _ in batch}
        kept: list[Taken] = []
        left: list[Taken] = []
        for taken in batch:
            parent = taken[0].state.parent
            (left if parent and parent["saga"] in names else kept).append(taken)
        if left:
            # What is only locked stays due.
            self._more_due = True
            self._put_back([taken for taken in left if taken[0].leased])
        return kept

    def _put_back(self, batch: list[Taken]) -> None:
        for held, happenings in batch:
            self._results += [(held, happening) for happening in happenings]
            if not happenings:
                self._ready.append(held)

    def _go_on(self, change: Change) -> None:
        """Take the recorded change as the saga's state and do what comes next."""
        held = change.held
        held.epoch, held.state, held.leased = change.new_epoch, change.state, True
        for run in change.sends:
            address = self._routing.address_of(held, run)
            call = held.call(run, now=self._clock.now())
            timeout_s = held.definition.steps[run.step].timeout_s
            held.in_air.add(run)
            flight = self._gate.take_off(held.definition.steps[run.step].participant)
            self._flights.send(held, run, flight, address, call, timeout_s=timeout_s)
        held.foreseen = change.local
        if change.local is not None or change.wants:
            self._ready.append(held)
            return
        if change.lines_up and not change.goes_on:
            lined = statements.Lined(held.id, held.epoch, held.state.version)
            self._gate.line_up(change.lines_up, lined)
        for name in change.queues:
            self._gate.wait(name, held)
        if change.due is not None and (held.in_air or change.queues):
            self._watched[held] = change.due

    def _start_over(self, changes: list[Change], stale: set[uuid.UUID]) -> None:
        """After a rollback: read the sagas that have changed, and decide what came in anew.

        An operator's verb changes a saga under its holder: same epoch, new version. A new epoch
        means that the lease is lost; then the new holder decides.
        """
        # What is only locked nobody else can have changed; a lease would only delay it.
        ours = [c.held for c in changes if c.held.leased and c.held.id in stale]
        held_ids = [(held.id, held.epoch) for held in ours]
        # A verb makes a saga due at once; whoever holds it must not be taken for lost.
        statements.renew(held_ids, lease_s=self.lease_s)
        fresh = statements.reload(held_ids)
        for change in changes:
            held = change.held
            held.locks = frozenset()
            self._decider.release(change)
            if not held.leased:
                # The lock went with the transaction; it is still due.
                self._more_due = True
            elif held.id in stale and held.id not in fresh:
                self._let_go(change)
            else:
                if held.id in stale:
                    self._read_anew(held, *fresh[held.id])
                self._decide_anew(change)

    def _read_anew(
        self, held: Held, definition_id: int, version: int, state: dict[str, Any]
    ) -> None:
        """Take what somebody else has recorded, be it a move to another version."""
        held.foreseen = None
        held.definition = catalogue.compiled({definition_id})[definition_id]
        held.state = from_json(state, version=version)
        held.locking = held.definition.takes_locks

    def _let_go(self, change: Change) -> None:
        """Leave a saga to its new holder, but tell what it would not find out."""
        logger.warning("Saga %s was taken over; its lease had ended.", change.held.id)
        for happening in change.happenings:
            if isinstance(happening, LATE):
                intervening.record_late(change.held.id, happening, touched=change.touched)

    def _decide_anew(self, change: Change) -> None:
        if change.touched:
            self._repeat(change.held, change.happenings[0])
        else:
            self._put_back([(change.held, change.happenings)])

    def _isolate(self, taken: list[Taken], changes: list[Change], error: Exception) -> None:
        """After a rollback for no known reason: find the saga that is to blame, and set it aside.

        Each saga of the batch is tried by itself. The one that fails then waits for a while, with
        the error on its row; what was sent for it is asked for again after that.
        """
        for change in changes:
            self._decider.release(change)
        for held, _ in taken:
            held.locks = frozenset()
        if len(taken) == 1:
            held, _ = taken[0]
            logger.error("Saga %s cannot go on", held.id, exc_info=error)
            statements.set_aside(held.id, held.epoch, str(error), seconds=SET_ASIDE_S)
            return
        logger.warning("A batch of %s sagas failed; trying each by itself: %s", len(taken), error)
        self._careful_rounds = 2 * self.batch_size
        self._more_due = True
        self._put_back([(held, happenings) for held, happenings in taken if held.leased])

    def _repeat(self, held: Held, happening: h.Happening) -> None:
        """Deal with a callable whose writes were rolled back: run it again if it is still due.

        If not, what it did outside this database is in doubt, and belongs to what is undone.
        """
        if isinstance(happening, h.Succeeded) and not is_expected(held.state, happening):
            where = (happening.step, happening.direction, happening.attempt)
            error = {"class": "RolledBack", "message": "Decided otherwise meanwhile."}
            self._results.append((held, h.Unknown(happening.at, *where, error)))
        else:
            self._ready.append(held)

    def _renew(self) -> None:
        """Lengthen the leases of everything held once half of the lease has passed."""
        if time.monotonic() - self._renewed_at < self.lease_s / 2:
            return
        self._renewed_at = time.monotonic()
        statements.renew([(held.id, held.epoch) for held in self._held()], lease_s=self.lease_s)
