"""A saga in memory: the real core, a clock that skips, participants that play a script."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from sagas.core import happenings as h
from sagas.core.definition import Definition, RetryPolicy, StepType
from sagas.core.journal import Entry, Kind
from sagas.core.locking import awaited
from sagas.core.moves import Run
from sagas.core.state import Direction, SagaState, StepStatus, WaitsFor
from sagas.core.verbs import why_not_release
from sagas.definitions import Saga, read_yaml
from sagas.testing.answers import Answer, Duration, seconds, succeed
from sagas.testing.effects import Effect
from sagas.testing.orders import OrderRefused as OrderRefused
from sagas.testing.orders import ordered
from sagas.testing.participants import Called, Participants, Script
from sagas.testing.played import Flight, PlayedSaga
from sagas.testing.timelines import timeline
from sagas.testing.world import BEGAN, World

# A definition, a class, or the path of a YAML file.
Source = Definition | type[Saga] | str | Path
# More than any saga does; whoever does more goes round in circles.
MOST_TICKS = 20_000
# Those that still exist, for the report of a failed test.
alive: weakref.WeakSet[Simulation] = weakref.WeakSet()


def simulate(
    source: Source,
    *,
    input: Any = None,
    business_key: str = "order-1",
    sub_sagas: Iterable[Source] = (),
    seed: int | None = None,
    order: Sequence[str] = (),
    own_callables: bool = False,
    after: Duration | None = None,
) -> Simulation:
    """Return a saga that has been started and has not done anything yet.

    Every call succeeds until `on` says something else. Calls side by side answer in the order in
    which they were made; with `order` the steps that it names come first, in that order, with a
    `seed` chance decides. `own_callables` calls the Python callables of a saga class. It
    begins `after` a time, as one that is started with `at`.
    """
    participants = Participants()
    if own_callables and isinstance(source, type):
        for (name, action), callable_ in source.local_actions().items():
            participants.script(name, action, (callable_,))
    world = World({}, participants, seed=seed, order=order)
    return _start(world, (source, *sub_sagas), input, business_key, after)


def _start(
    world: World,
    sources: Iterable[Source],
    input: Any,
    business_key: str,
    after: Duration | None,
) -> Simulation:
    """Start a saga of the first one; the others are those that its steps start."""
    definitions = [_steady(read(each)) for each in sources]
    world.definitions |= {definition.name: definition for definition in definitions}
    starts_at = None if after is None else world.now + seconds(after)
    saga = world.start(definitions[0], input or {}, business_key, starts_at=starts_at)
    run = Simulation(world, saga)
    alive.add(run)
    return run


def read(source: Source) -> Definition:
    """Return a definition from whatever holds it. Raises DefinitionError and OSError."""
    if isinstance(source, Definition):
        return source
    if isinstance(source, str | Path):
        path = Path(source)
        return read_yaml(path.read_text(encoding="utf-8"), filename=str(path))
    return source.definition()


class Simulation:
    """A saga whose time, participants and trouble a test decides."""

    def __init__(self, world: World, saga: PlayedSaga) -> None:
        self._world = world
        self._saga = saga

    def on(self, participant: str, action: str, *answers: Script) -> Self:
        """Script an action or compensation: these answers one after the other, then success."""
        self._world.participants.script(participant, action, answers)
        return self

    def beside(
        self,
        source: Source,
        *,
        input: Any = None,
        business_key: str = "order-2",
        sub_sagas: Iterable[Source] = (),
        after: Duration | None = None,
    ) -> Simulation:
        """Start another saga in the same world, and return it.

        They share time, participants with what these were told to answer, and locks; whichever of
        them is told to go on, all do.
        """
        return _start(self._world, (source, *sub_sagas), input, business_key, after)

    # What it does.

    def to_end(self) -> Self:
        """Go on, skipping time, until nothing more happens without somebody outside."""
        return self._go(lambda: False, skip=True)

    def settle(self) -> Self:
        """Do everything that can be done without time passing."""
        return self._go(lambda: False, skip=False)

    def until(self, holds: Callable[[Simulation], bool]) -> Self:
        """Go on, skipping time, until that holds. Raises AssertionError if it never does."""
        self._go(lambda: holds(self), skip=True)
        if not holds(self):
            raise AssertionError(f"It never came to that.\n{self.timeline()}")
        return self

    def advance(self, duration: Duration) -> Self:
        """Let time pass, and everything happen that is due within it."""
        end = self._world.now + seconds(duration)
        self.settle()
        while (at := self._world.next_time()) is not None and at <= end:
            self._world.now = max(at, self._world.now)
            self.settle()
        self._world.now = end
        return self

    def crash(self, step: str = "", *, took_effect: bool = True) -> Self:
        """Lose the worker while a call is in the air: that step's, or the next one."""
        self.until(lambda run: any(step in ("", f.call.step) for f in run._world.in_air))
        self._world.lose_worker(took_effect=took_effect)
        return self

    # What others do.

    def signal(self, name: str, data: Any = None) -> Self:
        """Send a signal; one that comes before its step is kept for it."""
        self._world.happen(self._saga, h.Signalled(self._world.now, name, data))
        return self

    def approve(self, step: str, *, by: str = "operator", reason: str = "approved") -> Self:
        """Decide for a step, once it waits for a decision."""
        return self._decide("approve", step, by, reason)

    def reject(self, step: str, *, by: str = "operator", reason: str = "rejected") -> Self:
        """Decide against a step, once it waits for a decision."""
        return self._decide("reject", step, by, reason)

    def order(
        self, verb: str, *, by: str = "operator", reason: str = "a test", **more: Any
    ) -> Self:
        """Give an operator's verb now. Raises OrderRefused where the engine would refuse it.

        What some verbs need: `step`, `steps` (names), `evidence`, `output`, `input` (for a retry),
        `target` (another version of the definition).
        """
        saga = self._saga
        self._world.happen(saga, ordered(saga, verb, self._world.now, by, reason, **more))
        return self

    def release_lock(self, name: str, *, by: str = "operator", reason: str = "a test") -> Self:
        """Take a lock from it, as a lead can. Raises OrderRefused."""
        if name not in self.locks:
            raise OrderRefused("It does not hold this lock any more.")
        if refusal := why_not_release(self.status, paused=self.paused):
            raise OrderRefused(refusal)
        self._world.happen(self._saga, h.LockReleased(self._world.now, name, by, reason))
        self._world.locks.hand_over(name)
        return self

    def reply(
        self,
        step: str,
        answer: Answer | None = None,
        *,
        undo: bool = False,
        attempt: int | None = None,
    ) -> Self:
        """Hand in a reply now: the awaited one, one that comes too late, or a repeated one."""
        index = self._saga.definition.index_of(step)
        known = self._saga.state.steps[index]
        made = known.undo_attempt if undo else known.attempt
        generation = known.undo_generation if undo else known.generation
        direction = Direction.BACKWARD if undo else Direction.FORWARD
        run = Run(index, direction, made if attempt is None else attempt, generation)
        call = self._saga.call(run, self._world.now)
        self._world.in_air = [f for f in self._world.in_air if (f.saga, f.run) != (self._saga, run)]
        self._world.reply(Flight(self._saga, run, call), answer or succeed())
        return self

    # What came of it.

    @property
    def status(self) -> str:
        return self._saga.state.status.value

    @property
    def paused(self) -> bool:
        return self._saga.state.paused_at is not None

    @property
    def state(self) -> SagaState:
        return self._saga.state

    @property
    def journal(self) -> list[Entry]:
        return list(self._saga.journal)

    @property
    def step_names(self) -> list[str]:
        """The name of each journal entry's step, or "", beside `journal`."""
        return list(self._saga.step_names)

    @property
    def participants(self) -> Participants:
        return self._world.participants

    @property
    def now(self) -> float:
        """The simulated time, in seconds since the epoch."""
        return self._world.now

    @property
    def elapsed_s(self) -> float:
        return self._world.now - BEGAN

    @property
    def calls(self) -> list[Called]:
        """All calls that participants have got, those of sub-sagas, too."""
        own = {str(saga.id) for saga in self._family()}
        return [called for called in self._world.participants.calls if called.saga in own]

    @property
    def compensations(self) -> list[str]:
        """The compensations that have got through, in that order, those of sub-sagas, too."""
        own = self._family()
        return [
            name
            for saga, place in self._world.log
            if saga in own
            and saga.journal[place].kind == Kind.UNDO_SUCCEEDED
            and (name := _compensation_of(saga, place))
        ]

    @property
    def sub_sagas(self) -> list[Simulation]:
        """The sagas that steps have started, directly or further down."""
        return [Simulation(self._world, saga) for saga in self._family()[1:]]

    @property
    def locks(self) -> list[str]:
        """The names of the locks that it holds."""
        return self._world.locks.of(self._saga)

    @property
    def taken_locks(self) -> list[str]:
        """The names of the locks that it has ever held."""
        taken = self._world.locks.taken
        return sorted(place.lock for place in taken if place.saga == self._saga.id)

    @property
    def awaited_locks(self) -> list[str]:
        """The names of the locks that it waits for."""
        return sorted(awaited(self._saga.definition, self._saga.state))

    def step(self, name: str) -> StepStatus:
        """Return what has come of a step."""
        return self._saga.state.steps[self._saga.definition.index_of(name)].status

    def standing(self) -> list[Effect]:
        """Return the effects that stand; those of a step with nothing to undo never do."""
        own = {str(saga.id) for saga in self._family()}
        return [e for e in self._world.participants.effects.standing() if e.saga in own]

    def assert_nothing_stands(self) -> None:
        """Raise AssertionError, with the timeline, if an effect stands."""
        self.assert_stands()

    def assert_stands(self, *actions: str) -> None:
        """Raise AssertionError, with the timeline, unless exactly these actions' effects stand."""
        found = [effect.action for effect in self.standing()]
        if sorted(found) != sorted(actions):
            wanted = ", ".join(actions) or "nothing"
            told = f"{', '.join(found) or 'Nothing'} stands, not {wanted}."
            raise AssertionError(f"{told}\n{self.timeline()}")

    def timeline(self) -> str:
        """Return everything that has happened, as text."""
        return timeline(self._world, self._saga)

    def __repr__(self) -> str:
        name, key = self._saga.definition.name, self._saga.business_key
        return f"<{name} {key}: {self.status}, {len(self._saga.journal)} entries>"

    def _family(self) -> list[PlayedSaga]:
        """Return the saga and those that its steps have started, directly or further down."""
        family = [self._saga]
        ids = {str(self._saga.id)}
        # Whoever starts a saga is older.
        for saga in self._world.sagas:
            if saga.state.parent is not None and saga.state.parent["saga"] in ids:
                family.append(saga)
                ids.add(str(saga.id))
        return family

    def _decide(self, verb: str, step: str, by: str, reason: str) -> Self:
        index = self._saga.definition.index_of(step)
        self.until(lambda run: run.state.steps[index].status == StepStatus.WAITING)
        if self.state.steps[index].waits_for != WaitsFor.APPROVAL:
            raise OrderRefused(f"{step} waits for nobody's decision.")
        return self.order(verb, by=by, reason=reason, step=step)

    def _go(self, enough: Callable[[], bool], *, skip: bool) -> Self:
        for _ in range(MOST_TICKS):
            if enough():
                return self
            if self._world.tick():
                continue
            at = self._world.next_time() if skip else None
            if at is None:
                return self
            self._world.now = max(at, self._world.now)
        raise AssertionError(f"It does not come to an end.\n{self.timeline()}")


def _compensation_of(saga: PlayedSaga, place: int) -> str:
    """Return the action that an entry's step is undone by; "" where that is a whole saga."""
    name = saga.step_names[place]
    step = next((step for step in saga.definition.steps if step.name == name), None)
    return (step.compensation or "") if step and step.type == StepType.ACTION else ""


def _steady(definition: Definition) -> Definition:
    """Return the definition with pauses that are the same every time."""

    def steady(policy: RetryPolicy) -> RetryPolicy:
        return policy._replace(jitter=False)

    steps = tuple(
        step._replace(retry=steady(step.retry), undo_retry=steady(step.undo_retry))
        for step in definition.steps
    )
    return definition._replace(steps=steps)
