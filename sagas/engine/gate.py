"""Which calls of a driver may leave: slots shared fairly among participants, limits, breakers.

There are as many slots for slow calls as for the others, so slow participants cost the others
none; within each kind, nobody has more than a fair share while others want some. A saga whose
participant has no slot for it is held when its turn comes soon, and given back when not: held
sagas take the room of others.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

from sagas.engine.bulkhead import Bulkhead, Flight
from sagas.engine.held import Held
from sagas.engine.statements import Lined
from sagas.participants.answers import Answer
from sagas.participants.breaker import State, is_outage
from sagas.participants.figures import Figures
from sagas.participants.limits import Limits, Policy

# What `ask` answers besides seconds.
GO, WAIT_HERE = 0.0, float("inf")
# Sagas that are sent within this time are held in any case; others within that time if there is
# room for them.
AT_ONCE_S = 0.2
HOLD_S = 2.0
# Sagas that were given back are remembered up to this number; the others come in their time.
MOST_LINED = 2_000
# Whoever wanted a slot within this time shares them.
RIVAL_S = 1.0
# This part of the slots is kept for those who have less than their share.
SPARE_PART = 4


class Gate:
    """Belongs to one driver and its thread."""

    def __init__(self, slots: int, *, room: int, lease_s: float) -> None:
        self.slots = slots
        self._room = room
        self._bulkheads: dict[str, Bulkhead] = {}
        self._limits = Limits(uuid.uuid4().hex[:12], lease_s=lease_s)
        self._figures = Figures()
        # Taken slots and rivals for them, of the others and of the slow.
        self._taken = [0, 0]
        self._rivals = [0, 0]
        # No more slow calls: their answers are waited for.
        self.only_prompt = False
        # How often a saga had to be given back.
        self.turned_away = 0

    @property
    def prompt(self) -> int:
        """How many calls have a slot that is not for slow ones."""
        return self._taken[False]

    @property
    def slow(self) -> int:
        return self._taken[True]

    @property
    def waiting(self) -> int:
        return sum(len(bulkhead.waiting) for bulkhead in self._bulkheads.values())

    def held(self) -> Iterator[Held]:
        for bulkhead in self._bulkheads.values():
            yield from bulkhead.waiting

    def ask(self, name: str, policy: Policy) -> float:
        """Ask for a call: GO (a slot is reserved), WAIT_HERE, or seconds after which to look again.

        After GO comes `take_off` or `release`, after WAIT_HERE `wait`.
        """
        now = time.monotonic()
        bulkhead = self._bulkheads.get(name)
        if bulkhead is None:
            bulkhead = self._bulkheads[name] = Bulkhead(name, policy)
        bulkhead.obey(policy, now)
        bulkhead.asked_at = now
        if bulkhead.is_slow and self.only_prompt:
            return self._turn_away(bulkhead, now)
        needs_permit = bulkhead.needs_permit(now)
        if (needs_permit and not bulkhead.permits) or self._slots_for(bulkhead) <= 0:
            return WAIT_HERE if self._may_wait(bulkhead, now) else self._turn_away(bulkhead, now)
        bulkhead.permits -= needs_permit
        bulkhead.reserved.append(bulkhead.is_slow)
        self._taken[bulkhead.is_slow] += 1
        return GO

    def _turn_away(self, bulkhead: Bulkhead, now: float) -> float:
        self.turned_away += 1
        return bulkhead.line_up(now)

    def obey(self, policy_of: Callable[[str], Policy]) -> None:
        """Go by what the participants' rows say now."""
        now = time.monotonic()
        for bulkhead in self._bulkheads.values():
            bulkhead.obey(policy_of(bulkhead.name), now)

    def line_up(self, name: str, lined: Lined) -> None:
        """Remember a saga that was given back."""
        line = self._bulkheads[name].lined
        if len(line) < MOST_LINED:
            line[lined.id] = lined

    def has_recalls(self) -> bool:
        """Say whether sagas that were given back could make their calls now."""
        now = time.monotonic()
        return any(self._recallable(each, now) for each in self._bulkheads.values())

    def recall(self) -> list[Lined]:
        """Return sagas that were given back and have their turn now, before their time."""
        now = time.monotonic()
        recalled: list[Lined] = []
        for bulkhead in self._bulkheads.values():
            called = list(bulkhead.lined)[: self._recallable(bulkhead, now)]
            recalled += [bulkhead.lined.pop(saga_id) for saga_id in called]
        return recalled

    def _recallable(self, bulkhead: Bulkhead, now: float) -> int:
        slots = self._slots_for(bulkhead) if bulkhead.lined else 0
        probes = bulkhead.state != State.CLOSED and bulkhead.in_air
        if slots <= 0 or probes or (bulkhead.is_slow and self.only_prompt):
            return 0
        wanted = max(slots, self._allowance(bulkhead))
        if bulkhead.needs_permit(now):
            if now < bulkhead.ask_at:
                return 0
            limited = bulkhead.state == State.CLOSED and self._allowance(bulkhead)
            wanted = max(1, limited)
        return max(0, min(wanted - len(bulkhead.waiting), len(bulkhead.lined)))

    def release(self, name: str) -> None:
        """Give back the slot of a call that will not leave."""
        self._taken[self._bulkheads[name].reserved.pop(0)] -= 1

    def take_off(self, name: str) -> Flight:
        """Use a slot that was reserved."""
        return self._bulkheads[name].take_off(time.monotonic())

    def land(self, flight: Flight, seconds: float, answer: Answer) -> None:
        """Give back the slot of a call that has ended, and count how."""
        outage = is_outage(answer.outcome, answer.error)
        flight.bulkhead.land(flight, seconds, outage)
        self._taken[flight.is_slow] -= 1
        self._figures.count(flight.bulkhead.name, seconds, outage)

    def wait(self, name: str, held: Held) -> None:
        self._bulkheads[name].waiting[held] = None

    def forget(self, held: Held) -> None:
        """Let a saga wait no more: it is being dealt with."""
        for bulkhead in self._bulkheads.values():
            bulkhead.waiting.pop(held, None)

    def is_pressing(self) -> bool:
        """Say whether a saga that waits can be dealt with, or other workers be asked for it."""
        now = time.monotonic()
        return any(
            bulkhead.waiting
            and (
                bulkhead.has_to_ask(now)
                or self._may_go(bulkhead, now)
                or self._turns_away(bulkhead)
                or len(bulkhead.waiting) > self._allowance(bulkhead)
            )
            for bulkhead in self._bulkheads.values()
        )

    def call_up(self, *, everyone: bool = False) -> list[Held]:
        """Return the sagas that wait and can go now, or have to be given back.

        Asks the other workers first where that has to be, in one round trip.
        """
        if not self._bulkheads:
            return []
        now = time.monotonic()
        self._look_around(now)
        self._exchange(now)
        called: dict[Held, None] = {}
        for bulkhead in self._bulkheads.values():
            if bulkhead.waiting:
                called.update(dict.fromkeys(self._called(bulkhead, now, everyone)))
        return list(called)

    def _called(self, bulkhead: Bulkhead, now: float, everyone: bool) -> list[Held]:
        """Return the first ones, which can go, and the last ones, for which there is no room."""
        waiting = list(bulkhead.waiting)
        count = self._may_go(bulkhead, now)
        keep = count + self._allowance(bulkhead)
        if everyone or self._turns_away(bulkhead):
            return waiting
        return waiting[:count] + waiting[max(count, keep) :]

    def settle(self) -> None:
        """Tell the other workers how things stand at the end of a drive."""
        for bulkhead in self._bulkheads.values():
            bulkhead.has_news = bulkhead.has_news or bulkhead.has_something_to_tell
        self._exchange(time.monotonic())
        self._figures.hand_in()

    def _look_around(self, now: float) -> None:
        """Let calls grow old, and count who wants slots."""
        self._rivals = [0, 0]
        for bulkhead in self._bulkheads.values():
            aged = bulkhead.grow_old(now)
            self._taken[False] -= aged
            self._taken[True] += aged
            wants = bulkhead.waiting or now - bulkhead.asked_at < RIVAL_S
            if bulkhead.in_air or (wants and bulkhead.state == State.CLOSED):
                self._rivals[bulkhead.is_slow] += 1

    def _exchange(self, now: float) -> None:
        asking = [each for each in self._bulkheads.values() if each.has_to_ask(now)]
        if not asking:
            return
        reports = [
            each.report(max(0, min(len(each.waiting), self._slots_for(each)))) for each in asking
        ]
        for each, report, verdict in zip(
            asking, reports, self._limits.exchange(reports), strict=True
        ):
            each.hear(report, verdict, now)
        self._figures.hand_in(at_most_every_s=1.0)

    def _slots_for(self, bulkhead: Bulkhead) -> int:
        """Return how many slots a participant may take now."""
        slow = bulkhead.is_slow
        free = min(self.slots - self._taken[slow], 2 * self.slots - sum(self._taken))
        rivals = self._rivals[slow]
        if rivals <= 1:
            return free
        share = max(1, self.slots // rivals) - bulkhead.slot_of(slow=slow)
        return min(free, max(share, free - self.slots // SPARE_PART))

    def _may_go(self, bulkhead: Bulkhead, now: float) -> int:
        """Return how many calls of a participant may leave."""
        count = max(0, self._slots_for(bulkhead))
        return min(count, bulkhead.permits) if bulkhead.needs_permit(now) else count

    def _turns_away(self, bulkhead: Bulkhead) -> bool:
        """Say whether nobody may wait for a participant."""
        return bulkhead.state == State.OPEN or (bulkhead.is_slow and self.only_prompt)

    def _may_wait(self, bulkhead: Bulkhead, now: float) -> bool:
        if bulkhead.state != State.CLOSED and now < bulkhead.ask_at:
            return False
        # Somebody has to be here for the others to be asked.
        asks = bulkhead.needs_permit(now) and now >= bulkhead.ask_at
        return len(bulkhead.waiting) < max(asks, self._allowance(bulkhead))

    def _allowance(self, bulkhead: Bulkhead) -> int:
        """Return how many sagas may wait here for a participant: those that it takes soon."""
        rate = bulkhead.calls_per_s
        if not rate:
            return self._room
        at_once = int(rate * AT_ONCE_S)
        others = self.waiting - len(bulkhead.waiting)
        if rate >= 1:
            at_once = max(1, at_once)
        return max(at_once, min(int(rate * HOLD_S), self._room // 2 - others))
