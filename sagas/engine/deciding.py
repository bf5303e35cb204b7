"""What comes next for a saga: what its happenings mean, and how its next runs begin."""

from __future__ import annotations

import uuid

from outbox.exceptions import MessageRefused
from sagas.core import happenings as h
from sagas.core.definition import StepType
from sagas.core.moves import Run, Wait, next_moves
from sagas.core.preparing import Ready
from sagas.core.state import WaitsFor
from sagas.engine import children, locks
from sagas.engine.gate import GO, WAIT_HERE, Gate
from sagas.engine.held import Change, Held
from sagas.engine.routing import Deferred, Here, Posted, Routing
from sagas.participants.calls import describe
from sagas.participants.commands import command_of

# A saga whose participant is paused or not known is looked at again after this time.
DEFER_S = 5.0
# Times that have passed are happenings.
TIMES = (h.StartDue, h.ReplyOverdue, h.DeadlinePassed)


class Decider:
    """Decides for one driver; `now` is the database's time, read anew for each saga."""

    def __init__(self, routing: Routing, gate: Gate) -> None:
        self.now = 0.0
        self._routing = routing
        self._gate = gate

    def decide(self, held: Held, happenings: list[h.Happening], give_back: bool) -> Change:
        """Return the change that these happenings make, with what comes after them."""
        change = Change(held, [], held.state, happenings=happenings)
        try:
            for happening in happenings:
                change.happen(happening)
            self._look_far(change, give_back)
        except BaseException:
            self.release(change)
            raise
        return change

    def take_locks(self, changes: list[Change], give_back: bool) -> set[uuid.UUID]:
        """Decide about the locks that these changes want, and go on with what comes of it.

        Returns the sagas that have to give way (`locks.take`).
        """
        victims: set[uuid.UUID] = set()
        try:
            while wanting := [change for change in changes if change.wants]:
                victims |= locks.take(wanting, self.now)
                for change in wanting:
                    self._look_far(change, give_back)
        except BaseException:
            for change in changes:
                self.release(change)
            raise
        return victims

    def _look_far(self, change: Change, give_back: bool) -> None:
        while (next_one := self._look_ahead(change, give_back)) is not None:
            change.happen(next_one)

    def release(self, change: Change) -> None:
        """Give back the slots of calls that will not leave."""
        for run in change.sends:
            self._gate.release(change.held.definition.steps[run.step].participant)

    def _look_ahead(self, change: Change, give_back: bool) -> h.Happening | None:
        """Find what comes next; return what happens at once, after which it has to look again."""
        change.due, change.local, change.queues, change.wants = None, None, (), False
        for move in next_moves(change.held.definition, change.state, self.now):
            if isinstance(move, Wait):
                change.look_at(move.until)
                continue
            happening = move if isinstance(move, TIMES) else self._begin(change, move, give_back)
            if happening is not None:
                return happening
        return None

    def _begin(self, change: Change, run: Run, give_back: bool) -> h.Happening | None:
        """Prepare a run; return what happens at once, be it that a call is sent."""
        held, now = change.held, self.now
        if run in held.in_air or run in change.sends:
            # A probe, which is not recorded before it leaves.
            return None
        if give_back:
            change.look_at(now)
            return None
        prepared = held.prepare(change.state, run, now)
        if held.locking and isinstance(prepared, Ready | h.Waiting):
            wish = locks.wish(change, run, now)
            if not wish.granted:
                return self._stop_at(change, wish)
        if not isinstance(prepared, Ready):
            if isinstance(prepared, h.Waiting) and prepared.waits_for == WaitsFor.APPROVAL:
                change.asks = True
            return prepared
        if held.definition.steps[run.step].type == StepType.SAGA:
            return children.run(held, change.state, run, prepared.input, at=now)
        route = self._routing.route(held.definition, run)
        if isinstance(route, Deferred):
            change.look_at(now + DEFER_S)
        elif isinstance(route, Here):
            change.local = change.local or run
        elif isinstance(route, Posted):
            return self._post(change, run, route.participant)
        else:
            return self._ask_for_call(change, run)
        return None

    def _stop_at(self, change: Change, wish: locks.Wish) -> h.Happening | None:
        """Let a saga wait for a lock, or its step fail; first of all, ask for the lock."""
        if not isinstance(wish.obstacle, h.Blocked):
            change.wants = wish.is_open
            if wish.is_busy:
                change.look_at(self.now + locks.BUSY_S)
            return wish.obstacle
        blocked = change.state.steps[wish.run.step].blocked
        if blocked is None or blocked["lock"] != wish.obstacle.lock:
            return wish.obstacle
        change.look_at(locks.look_at(change, blocked, self.now))
        return None

    def _post(self, change: Change, run: Run, participant: str) -> h.Happening:
        """Let a command leave with the change; from then on its reply is awaited."""
        call = change.held.call(run, now=self.now, state=change.state)
        try:
            change.commands += (command_of(participant, call),)
        except MessageRefused as refusal:
            error = describe(type(refusal).__name__, str(refusal), retryable=False)
            return h.Failed(self.now, run.step, run.direction, run.attempt, error)
        return h.Accepted(self.now, run.step, run.direction, run.attempt)

    def _ask_for_call(self, change: Change, run: Run) -> h.Happening | None:
        """Prepare a call if it may leave now; else let the saga wait, here or elsewhere."""
        name = change.held.definition.steps[run.step].participant
        wait_s = self._gate.ask(name, self._routing.policy(name))
        if wait_s == GO:
            change.sends.append(run)
            return None if run.probe else h.Sent(self.now, run.step, run.direction, run.attempt)
        if wait_s == WAIT_HERE:
            change.queues += (name,)
        else:
            change.look_at(self.now + wait_s)
            change.lines_up = name
        return None
