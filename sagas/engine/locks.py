"""Locks that sagas hold by name, from before a step until their end.

All wishes of a batch are decided together, in the transaction that records what comes of them, so
that a rollback leaves nothing. Who is refused or waits does no more than look; who gives a lock
back hands it to whoever has waited longest, and only that one is looked at again. A saga takes
locks on its way forwards only: one that is undone never waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from django.db import transaction

from sagas.core import deadlocks, locking
from sagas.core import happenings as h
from sagas.core.expressions import ExpressionError
from sagas.core.locking import Taken
from sagas.core.moves import Run
from sagas.engine import lock_statements as statements
from sagas.engine.held import Change, Held
from sagas.engine.lock_statements import Place
from sagas.engine.waking import wake_driver, wake_driver_on_commit

# Two sagas that begin to wait at the same moment do not see each other, be it in a circle; so
# everybody looks once more after this time.
SECOND_LOOK_S = 1.0
# Somebody is taking a lock at this moment; who gets it is known by then.
BUSY_S = 0.5
# PostgreSQL has room for a few thousand locks of all transactions; what is beyond is busy, too.
MOST_AT_ONCE = 500
# In case that a wake-up was lost, or nobody made one.
LOOK_AGAIN_S = 60.0


@dataclass(slots=True, eq=False)
class Wish:
    """The locks that a run wants, and what became of it: granted, an obstacle, or not decided."""

    held: Held
    run: Run
    names: tuple[str, ...] = ()
    # What it has waited for before.
    awaits: str = ""
    granted: bool = False
    obstacle: h.Blocked | h.Failed | None = None
    # The first lock that another saga holds, and that saga.
    taken: Taken | None = None
    # Or nobody can say yet who will hold it.
    is_busy: bool = False

    @property
    def saga_id(self) -> uuid.UUID:
        return self.held.id

    @property
    def step(self) -> str:
        return self.held.definition.steps[self.run.step].name

    @property
    def is_open(self) -> bool:
        return not (self.granted or self.is_busy or self.obstacle)

    def ask(self, holders: dict[str, uuid.UUID], wanted: dict[str, Place]) -> None:
        """Ask for one lock after the other, up to the first that another saga holds."""
        self.taken = locking.take(self.names, self.saga_id, holders)
        for name in takewhile(lambda name: holders[name] == self.saga_id, self.names):
            wanted[name] = Place(name, self.saga_id, self.step)

    def see(self, holders: dict[str, uuid.UUID]) -> None:
        """See who was faster, if that is known already."""
        names = (name for name in self.names if holders.get(name) != self.saga_id)
        name = next(names, None)
        self.is_busy = name is not None and name not in holders
        self.taken = Taken(name, holders[name]) if name is not None and name in holders else None

    def grant(self) -> None:
        self.granted = True
        # A rollback makes the driver forget it.
        self.held.locks = self.held.locks.union(self.names)


def wish(change: Change, run: Run, now: float) -> Wish:
    """Return the wish of a run; granted at once where nothing is wanted that is not held."""
    wishes = change.wishes = {} if change.wishes is None else change.wishes
    if run not in wishes:
        wishes[run] = _wish(change, run, now)
    return wishes[run]


def _wish(change: Change, run: Run, now: float) -> Wish:
    held, state = change.held, change.state
    blocked = state.steps[run.step].blocked
    new = Wish(held, run, awaits=blocked["lock"] if blocked else "")
    saga = {"id": str(held.id), "business_key": held.business_key}
    try:
        new.names = locking.wanted(held.definition, state, run, (held.input, saga))
    except ExpressionError as problem:
        new.obstacle = locking.failed(run, "InvalidMapping", str(problem), now)
    else:
        new.granted = held.locks.issuperset(new.names)
    return new


def take(changes: Iterable[Change], now: float) -> set[uuid.UUID]:
    """Decide all wishes of these changes; return the sagas that have to give way to them.

    Those are to be looked at once this is recorded (`settle`).
    """
    wishes = [wish for change in changes for wish in (change.wishes or {}).values() if wish.is_open]
    # The oldest saga first, as in a queue.
    wishes.sort(key=lambda wish: wish.saga_id)
    _ask(wishes)
    for wish in wishes:
        if wish.is_busy:
            continue
        if wish.taken is None:
            wish.grant()
        else:
            wish.obstacle = locking.turned_away(wish.held.definition, wish.run, wish.taken, now)
    served = [(wish.saga_id, wish.awaits) for wish in wishes if wish.granted and wish.awaits]
    if served:
        statements.stop_waiting(served)
    return _wait([wish for wish in wishes if wish.is_open], now)


def _ask(wishes: Sequence[Wish]) -> None:
    """Take what is free; where somebody else is faster, see who it is."""
    holders = statements.holders({name for wish in wishes for name in wish.names})
    wanted: dict[str, Place] = {}
    known = set(holders)
    for wish in wishes:
        wish.ask(holders, wanted)
    new = [place for name, place in wanted.items() if name not in known]
    if not new:
        return
    lost = {place.name for place in new} - statements.take(new[:MOST_AT_ONCE])
    late = [wish for wish in wishes if not lost.isdisjoint(wish.names)]
    if late:
        holders = statements.holders({name for wish in late for name in wish.names})
        for wish in late:
            wish.see(holders)


def _wait(wishes: Sequence[Wish], now: float) -> set[uuid.UUID]:
    """Let wishes wait, unless they would wait for ever; return who else has to give way."""
    if not wishes:
        return set()
    queue = [(wish, wish.taken) for wish in wishes if wish.taken]
    statements.wait([Place(taken.name, wish.saga_id, wish.step) for wish, taken in queue])
    edges = statements.edges({wish.saga_id for wish in wishes})
    victims: set[uuid.UUID] = set()
    for wish, taken in queue:
        wish.obstacle = locking.stopped(edges, wish.saga_id, wish.run, taken, now)
        if isinstance(wish.obstacle, h.Blocked):
            victims |= deadlocks.victims(edges, wish.saga_id)
    gave_way = [(w.saga_id, taken.name) for w, taken in queue if isinstance(w.obstacle, h.Failed)]
    if gave_way:
        statements.stop_waiting(gave_way)
    return victims - {wish.saga_id for wish in wishes}


def look_at(change: Change, blocked: dict[str, float], now: float) -> float:
    """Return when a saga that waits for a lock is looked at again."""
    if change.held.in_air or change.sends:
        # Nobody can make it due: its time is the lease of whoever waits for its call.
        return now + SECOND_LOOK_S
    second = blocked["since"] + SECOND_LOOK_S
    return second if now < second else now + LOOK_AGAIN_S


def settle(changes: Iterable[Change], victims: Collection[uuid.UUID] = ()) -> bool:
    """Give back what sagas that have ended held; return whether others are due by that.

    Called after the changes are written, in their transaction.
    """
    changes = [c for c in changes if c.held.locking and (c.entries or c.wishes)]
    if not changes and not victims:
        return False
    left = [(change.held.id, name) for change in changes for name in _given_up(change)]
    if left:
        statements.stop_waiting(left)
    due = bool(victims) and bool(statements.make_due(victims))
    ended = [c.held.id for c in changes if locking.gives_back(c.held.definition, c.state)]
    handed = bool(ended) and hand_over(ended)
    if waits := {name for change in changes for name in _waits(change)}:
        _wake_next_on_commit(waits)
    return handed or due


def _waits(change: Change) -> set[str]:
    """Return the locks that a saga, which nobody goes on with, has been told to wait for."""
    if not change.wishes or change.goes_on:
        return set()
    return locking.awaited(change.held.definition, change.state)


def _wake_next_on_commit(names: Collection[str]) -> None:
    """Look after the commit whether somebody waits for these locks although they are free.

    Whoever gives a lock back cannot see a waiter that is not committed, and the waiter takes a lock
    for held as long as that is not committed. As both look after their commit, the second one sees
    what the first one has done; nobody waits for anybody's transaction.
    """

    # No partial: Django reads the name of a robust hook that fails.
    def wake() -> None:
        wake_next(names)

    transaction.on_commit(wake, robust=True)


def wake_next(names: Collection[str]) -> None:
    """Make due who waits longest for each of these locks, where nobody holds it.

    One that somebody is looking at at this moment is left alone: that one comes here, too, after
    its commit.
    """
    waiting = statements.left_waiting(names)
    if waiting and statements.make_due(waiting):
        wake_driver()


def _given_up(change: Change) -> set[str]:
    return locking.given_up(change.held.definition, change.held.state, change.state)


def hand_over(saga_ids: Sequence[uuid.UUID], name: str | None = None) -> bool:
    """Give back the locks of sagas, or one of them; return whether others have got some.

    Whoever gets one is due at once. It cannot stop meanwhile: its row is ours until the commit. One
    that somebody is looking at is passed over and keeps its place.
    """
    handed = False
    passed_over: set[uuid.UUID] = set()
    while rows := statements.heirs(saga_ids, name, but=passed_over):
        named = {row.saga_id for row in rows if row.saga_id}
        willing = statements.make_due(named)
        passed_over |= named - willing
        given = [
            Place(row.name, row.saga_id, row.step)
            for row in rows
            if row.saga_id is not None and row.saga_id in willing
        ]
        if given:
            statements.inherit(given)
            wake_driver_on_commit()
            handed = True
        free = [row.name for row in rows if row.saga_id is None]
        if free:
            statements.set_free(free)
            _wake_next_on_commit(free)
    return handed
