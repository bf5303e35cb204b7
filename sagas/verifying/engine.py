"""Playing on the real engine: driver, database and HTTP, with participants on this machine.

It leaves its rows behind, so it belongs on a database that is thrown away.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from sagas import catalogue, replies, signals, verbs
from sagas.core.definition import WAITS, Definition
from sagas.core.moves import Run
from sagas.core.state import SagaState, StepState, StepStatus, WaitsFor, from_json
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.engine.held import Change, Held
from sagas.models import JournalEntry, Participant, Saga, SagaLock
from sagas.participants.calls import Call
from sagas.starting import start
from sagas.testing.answers import Answer, Outcome
from sagas.verifying.observing import Observed, observe
from sagas.verifying.plays import CRASHES, Play, Trouble, as_written, rehearsal
from sagas.verifying.stage import Actor, Stage, open_stage

# Sagas that are driven side by side; there are more slots for calls, because some wait for others.
TOGETHER, SLOTS = 20, 64
TIME_LIMIT_S = 120.0
PAUSE_S = 0.02


class TooSlow(Exception):
    """The plays have not come to an end."""


class WorkerDied(BaseException):
    """Ends a driver between sending a call and recording its answer."""


class MortalDriver(Driver):
    """A driver that dies when it is about to send a certain call, which it has recorded."""

    def __init__(self, dies: Callable[[Held, Run], bool], sees: Callable[[Held], None]) -> None:
        super().__init__(concurrency=SLOTS)
        self._dies = dies
        self._sees = sees

    def _go_on(self, change: Change) -> None:
        self._sees(change.held)
        if any(self._dies(change.held, run) for run in change.sends):
            raise WorkerDied
        super()._go_on(change)


def play_on_engine(definition: Definition, plays: Sequence[Play]) -> list[Observed]:
    """Play each on a saga of its own and return what came of them. Raises TooSlow."""
    token = uuid.uuid4().hex[:8]
    with open_stage() as stage, _allowed(stage.address):
        cast = _cast(definition, token, stage)
        acts = [_Act(stage, number, cast(play), play) for number, play in enumerate(plays)]
        together = [act for act in acts if act.play.trouble not in CRASHES]
        for first in range(0, len(together), TOGETHER):
            _play(together[first : first + TOGETHER])
        for act in acts:
            if act.play.trouble in CRASHES:
                _play([act])
                if not act.died:
                    raise RuntimeError(f"No worker has died at {act.play.step}.")
        return [act.observed(definition) for act in acts]


def _cast(definition: Definition, token: str, stage: Stage) -> Callable[[Play], Definition]:
    """Store what is played under names that nobody else uses, and who performs it."""
    names: dict[str, str] = {}
    stored: dict[Definition, Definition] = {}
    for step in definition.steps:
        if step.type not in WAITS and step.participant not in names:
            names[step.participant] = f"verify-{token}-{len(names)}"
    for name in names.values():
        Participant.objects.create(
            name=name,
            transport=Participant.Transport.HTTP,
            address=stage.address,
            breaker_failures=None,
            breaker_ratio=None,
        )

    def cast(play: Play) -> Definition:
        played = rehearsal(definition, play)
        if played not in stored:
            steps = tuple(
                s._replace(participant=names.get(s.participant, "")) for s in played.steps
            )
            fresh = played._replace(name=f"verify-{token}-{len(stored)}", steps=steps)
            catalogue.store_definition(fresh)
            stored[played] = fresh
        return stored[played]

    return cast


class _Act:
    """One play and its saga."""

    def __init__(self, stage: Stage, number: int, definition: Definition, play: Play) -> None:
        self.play = play
        self.definition = definition
        self.actor = stage.actors[str(number)] = Actor(definition, play)
        self._number = number
        self.died = play.trouble not in CRASHES
        self._id = uuid.UUID(int=0)
        # The names of the locks that the saga is seen to hold.
        self._locked: set[str] = set()

    def start(self) -> None:
        self._id = start(self.definition.name, {}, business_key=str(self._number)).saga_id

    def row(self) -> Saga:
        return Saga.objects.get(pk=self._id)

    def dies(self, held: Held, run: Run) -> bool:
        """Say whether the worker dies with this call; once it has."""
        if self.died or self.definition.steps[run.step].name != self.play.step:
            return False
        self.died = True
        took_effect = self.play.trouble == Trouble.CRASH_AFTER
        call = held.call(run, now=time.time())
        self.actor.carry_out(call, Answer(outcome=Outcome.CRASHED, took_effect=took_effect))
        return True

    def sees(self, held: Held) -> None:
        if held.id == self._id:
            self._locked |= held.locks

    def attend(self) -> bool:
        """Do what the outside world has to do; return whether the saga moves."""
        saga = self.row()
        state = from_json(saga.state, version=saga.version)
        for step, step_state in zip(self.definition.steps, state.steps, strict=True):
            if step_state.status == StepStatus.WAITING:
                self._attend_step(saga, step.name, step.signal, step_state)
        while self.actor.replies:
            self._reply(*self.actor.replies[0])
            self.actor.replies.pop(0)
        return saga.status in (Saga.Status.RUNNING, Saga.Status.COMPENSATING)

    def _attend_step(self, saga: Saga, name: str, signal: str, step: StepState) -> None:
        if step.waits_for == WaitsFor.APPROVAL:
            verb = Verb.REJECT if name == self.play.step else Verb.APPROVE
            order = verbs.Order(None, "verify", uuid.uuid4().hex)
            verbs.perform(verb, saga.pk, order, verbs.Details(step=name))
        elif step.waits_for == WaitsFor.SIGNAL and name != self.play.step:
            signals.send_signal(saga.pk, signal, message_id=uuid.uuid4().hex)

    def _reply(self, call: Call, answer: Answer) -> None:
        self.actor.carry_out(call, answer)
        replies.take_reply(
            {
                # The same one each time it comes.
                "message_id": f"{call.idempotency_key}/{call.attempt}",
                "correlation_id": call.idempotency_key,
                "attempt": call.attempt,
                "outcome": "succeeded",
            }
        )

    def observed(self, definition: Definition) -> Observed:
        """Return what came of the play of this definition."""
        saga = self.row()
        state: SagaState = from_json(saga.state, version=saga.version)
        rows = JournalEntry.objects.filter(saga_id=saga.pk).order_by("seq")
        names = [step.name for step in self.definition.steps]
        journal = list(rows.values_list("kind", "step"))
        left = SagaLock.objects.filter(saga_id=saga.pk).values_list("name", flat=True)
        return observe(state, names, journal, self.actor.participants)._replace(
            locked=as_written(definition, self._locked),
            still_locked=as_written(definition, left),
        )


def _play(acts: Sequence[_Act]) -> None:
    """Start these sagas and drive them to their ends."""
    for act in acts:
        act.start()
    until = time.monotonic() + TIME_LIMIT_S
    driver = _driver(acts)
    try:
        while True:
            try:
                driver.drive(budget_s=5.0)
            except WorkerDied:
                driver.close()
                driver = _driver(acts)
                # Its lease has ended.
                Saga.objects.filter(pk__in=[act.row().pk for act in acts]).update(due_at=Now())
            moving = [f"{act.play.step} {act.play.trouble}" for act in acts if act.attend()]
            if not moving:
                return
            if time.monotonic() > until:
                raise TooSlow(f"Still moving after {TIME_LIMIT_S:g} s: {', '.join(moving)}")
            time.sleep(PAUSE_S)
    finally:
        driver.close()


def _driver(acts: Sequence[_Act]) -> MortalDriver:
    def sees(held: Held) -> None:
        for act in acts:
            act.sees(held)

    return MortalDriver(lambda held, run: any(act.dies(held, run) for act in acts), sees)


@contextmanager
def _allowed(address: str) -> Iterator[None]:
    """Let this process call the address."""
    before = settings.SAGAS_ALLOWED_ADDRESSES
    settings.SAGAS_ALLOWED_ADDRESSES = [*before, address]
    try:
        yield
    finally:
        settings.SAGAS_ALLOWED_ADDRESSES = before


@contextmanager
def temporary_database() -> Iterator[None]:
    """Work on a new, empty database of the same server, which is dropped afterwards."""
    name = connection.settings_dict["NAME"]
    test = connection.settings_dict["TEST"]
    usual, test["NAME"] = test.get("NAME"), f"sagadesk_verify_{uuid.uuid4().hex[:12]}"
    try:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        catalogue.forget_compiled()
        try:
            yield
        finally:
            connection.creation.destroy_test_db(name, verbosity=0)
            catalogue.forget_compiled()
    finally:
        test["NAME"] = usual
