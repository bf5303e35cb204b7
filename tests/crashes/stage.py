"""Playing a scenario with trouble, and looking at what is left in the end."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import pytest
from django.db import connection
from django.db.models.functions import Now

from examples.check_orders import Effect as CheckedEffect
from examples.check_orders import SagaRow, StepRow, violations
from outbox.models import Delivery, Message
from outbox.relay import relay_once
from outbox.transports import TRANSPORTS
from sagas.checking import check_sagas, stray_locks
from sagas.core.definition import StepType
from sagas.core.state import Direction
from sagas.core.verbs import Verb
from sagas.engine import flights, statements
from sagas.engine.driver import Driver
from sagas.engine.intervening import state_of
from sagas.models import Saga, SagaLock
from sagas.participants import local
from sagas.participants.batches import BatchAction
from sagas.participants.calls import BusinessFailure, Call
from sagas.replies import take_reply
from sagas.signals import send_signal
from sagas.starting import Start, start_many
from sagas.verbs import Details, Order, perform
from tests.builders import let_pass
from tests.crashes.fuse import CUT_OFF, Fuse, Killed, Schedule, Trouble, Way, burning, hang_up
from tests.crashes.scenarios import Scenario
from tests.crashes.world import AtOnce, Effect, Line, Reader, World, refuse_locally
from tests.outbox.builders import end_leases
from tests.sagas.rivals import rival

# Two sagas in every batch: what hurts the work on one of them must not hurt the other.
SAGAS = 2
# Who is not at rest after so many looks never will be.
PATIENCE = 25


class End(NamedTuple):
    """How one saga ended, and what was done for it here and elsewhere."""

    business_key: str
    status: str
    near: tuple[tuple[str, str], ...]
    far: tuple[tuple[str, str], ...]


class Outcome(NamedTuple):
    ends: list[End]
    # What must never be, whatever the trouble.
    findings: list[str]


class Surprises(logging.Handler):
    """Errors of the engine that nobody foresaw: it gets over them, but there shall be none."""

    def __init__(self) -> None:
        super().__init__()
        self.met: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        fuse = burning()
        if record.exc_info and not (fuse and fuse.dead):
            self.met.append(record.getMessage())

    @contextmanager
    def heard(self) -> Iterator[None]:
        logger = logging.getLogger("sagas")
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)


@contextmanager
def outside_played(reader: Reader) -> Iterator[None]:
    """Let the world's line and reader take the places of HTTP and of Redis streams."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flights, "HttpClient", Line)
        patch.setattr(flights, "ThreadPoolExecutor", AtOnce)
        patch.setitem(TRANSPORTS, "redis_stream", reader)
        yield


class Stage:
    """Where a scenario is played, again and again, with trouble of another kind each time."""

    def __init__(self, scenario: Scenario, reader: Reader) -> None:
        self.scenario = scenario
        definitions = scenario.store()
        self._reader = reader
        self._turn = 0
        for step in (step for definition in definitions for step in definition.steps):
            for action in (step.action, step.compensation):
                if step.participant == "Near" and action:
                    local.register("Near", action, self._perform_near)
                elif step.participant == "Crowd" and action:
                    local.register("Crowd", action, BatchAction(self._perform_many, size=9))

    def play(self, schedule: Schedule = ()) -> Outcome:
        """Act by act, each repeated by whoever comes next when trouble broke it off."""
        self._turn += 1
        self._marker = uuid.UUID(int=time.time_ns() // 1_000_000 << 80)
        self.world = Line.world = self._reader.world = World(self.scenario.habits)
        statements.tune_for_driving()
        self.fuse = Fuse(schedule, self._let_another_work)
        surprises = Surprises()
        with surprises.heard():
            for act in self.scenario.acts:
                getattr(self, act, lambda act=act: self._give(act))()
        outcome = self._outcome()
        return outcome._replace(findings=outcome.findings + surprises.met)

    def sagas(self) -> list[Saga]:
        """Return the sagas of this play; one and that of its step, whoever was first."""
        return list(Saga.objects.filter(pk__gt=self._marker).order_by("business_key", "definition"))

    # The acts.

    def start(self) -> None:
        keys = [f"{self._turn}-{number}" for number in range(SAGAS)]
        starts = [Start(key, {}, idempotency_key=key) for key in keys]
        self._act(lambda: start_many(self.scenario.name, starts))

    def drive(self) -> None:
        self._act(self._drive)

    def work(self) -> None:
        """Drive, reply and let time pass until nothing is left to be done."""
        for _ in range(PATIENCE):
            self.drive()
            self.reply()
            if not self.world.replies and not self._is_due_soon():
                return
            self._let_time_pass()

    def _is_due_soon(self) -> bool:
        """Say whether a saga has anything to do, or is held; one may wait for an operator."""
        return Saga.objects.filter(
            pk__gt=self._marker, due_at__lt=Now() + timedelta(minutes=1)
        ).exists()

    def reply(self) -> None:
        for key, payload in list(self.world.replies.items()):
            self._act(lambda payload=payload: take_reply(payload))
            self.world.replied(key)

    def relay(self) -> None:
        for _ in range(PATIENCE):
            if not Delivery.objects.exists():
                return
            self._act(relay_once)
            end_leases()

    def signal(self) -> None:
        for saga in self.sagas():
            self._act(lambda pk=saga.pk: send_signal(pk, "go", message_id=f"go {pk}"))

    def edit(self) -> None:
        self._act(lambda: self._order("retry", Details(edited=({"edited": True},))))

    def _order(self, verb: str, details: Details) -> None:
        for saga in self.sagas():
            order = Order(None, "because", f"{verb} {self._turn} {saga.pk}")
            perform(Verb(verb), saga.pk, order, details)

    def _give(self, act: str) -> None:
        verb, _, step = act.partition(":")
        self._act(lambda: self._order(verb, Details(step=step, evidence="Seen.")))

    # Who acts.

    def _act(self, work: Callable[[], object]) -> None:
        for _ in range(PATIENCE):
            struck = self.fuse.struck
            try:
                with self.fuse.lit():
                    work()
            except (Killed, *CUT_OFF):
                if self.fuse.struck == struck:
                    raise
                hang_up()
                end_leases()
                self._end_leases()
            else:
                return

    def _drive(self) -> None:
        driver = Driver(concurrency=self.scenario.concurrency)
        try:
            driver.drive()
        finally:
            driver.close()

    def _let_another_work(self, dies_after: int) -> None:
        with rival() as other:
            other.do(lambda: self._work_as_another(dies_after))

    def _work_as_another(self, dies_after: int) -> None:
        self._end_leases()
        fuse = Fuse([Trouble(dies_after, Way.KILL)])
        try:
            with fuse.lit():
                self._drive()
        except Killed:
            hang_up()

    def _end_leases(self) -> None:
        """Let all leases end, but for sagas that somebody is writing right now."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE sagas_saga SET due_at = now() - interval '1 s' WHERE id IN (SELECT id"
                " FROM sagas_saga WHERE id > %s AND due_at IS NOT NULL FOR UPDATE SKIP LOCKED)",
                [self._marker],
            )

    def _let_time_pass(self) -> None:
        for saga in self.sagas():
            if saga.due_at is not None:
                let_pass(saga, 1)
        self._end_leases()

    def _perform_near(self, call: Call) -> None:
        with connection.cursor() as cursor:
            told = (call.business_key, call.step, call.direction.value)
            cursor.execute("INSERT INTO near_effects VALUES (%s, %s, %s)", told)
        refuse_locally(self.scenario.habits, call)

    def _perform_many(self, calls: list[Call]) -> list[BusinessFailure | None]:
        refused = [self.scenario.habits.refuse(call) for call in calls]
        told = [
            (call.business_key, call.step, call.direction.value)
            for call, no in zip(calls, refused, strict=True)
            if not no
        ]
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO near_effects VALUES (%s, %s, %s)", told)
        return [BusinessFailure("No.") if no else None for no in refused]

    # What is left.

    def _outcome(self) -> Outcome:
        near = self._near_effects()
        sagas = self.sagas()
        ends = [
            End(
                saga.business_key.partition("-")[2],
                saga.status,
                _of(saga, near),
                _of(saga, self.world.done),
            )
            for saga in sagas
        ]
        return Outcome(ends, list(self._findings(sagas, [*near, *self.world.done])))

    def _near_effects(self) -> list[Effect]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT * FROM near_effects WHERE business_key LIKE %s", [f"{self._turn}-%"]
            )
            return [Effect(*row) for row in cursor.fetchall()]

    def _findings(self, sagas: list[Saga], done: list[Effect]) -> Iterator[str]:
        for finding in check_sagas([saga.pk for saga in sagas]):
            yield f"{finding.kind}: {finding.message}"
        for saga in sagas:
            if saga.due_at is not None:
                yield f"{saga.business_key} does not come to rest: {saga.status}"
            elif saga.status in ("running", "compensating"):
                yield f"{saga.business_key} is stranded: {saga.status}"
            for what in violations(_row(saga), _checked(saga, done)):
                yield f"{saga.business_key} {what}"
        yield from (f"{finding.saga_id}: {finding.message}" for finding in stray_locks())
        if left := SagaLock.objects.count():
            yield f"{left} locks are left"
        yield from self._lost_messages(sagas)

    def _lost_messages(self, sagas: list[Saga]) -> Iterator[str]:
        if "relay" not in self.scenario.acts:
            return
        if left := Delivery.objects.count():
            yield f"{left} messages are left in the outbox"
        firsts = list(dict.fromkeys(self.world.published))
        for saga in sagas:
            written = [
                str(pk)
                for pk in Message.objects.filter(saga_id=saga.pk)
                .order_by("pk")
                .values_list("pk", flat=True)
            ]
            if [pk for pk in firsts if pk in written] != written:
                yield f"{saga.business_key}: messages are lost or out of order"


def _of(saga: Saga, done: list[Effect]) -> tuple[tuple[str, str], ...]:
    own = (effect for effect in done if effect.business_key == saga.business_key)
    return tuple(sorted((effect.step, effect.direction) for effect in own))


def _row(saga: Saga) -> SagaRow:
    definition, state = state_of(saga)
    steps = tuple(
        StepRow(step.name, step_state.status, step.compensation is not None)
        for step, step_state in zip(definition.steps, state.steps, strict=True)
        if step.type == StepType.ACTION
    )
    return SagaRow(str(saga.pk), saga.business_key, saga.status, steps)


def _checked(saga: Saga, done: list[Effect]) -> list[CheckedEffect]:
    """Return the effects of a saga as `check_effects` reads them from participants' tables."""
    own = [effect for effect in done if effect.business_key == saga.business_key]
    undone = {effect.step for effect in own if effect.direction == Direction.BACKWARD}
    return [
        CheckedEffect(
            "", number, str(saga.pk), saga.business_key, effect.step, "", effect.step not in undone
        )
        for number, effect in enumerate(own)
        if effect.direction == Direction.FORWARD
    ]


def findings(stage: Stage, expected: Outcome, schedule: Schedule) -> list[str]:
    """Play a schedule and return what is wrong, given the outcome without trouble."""
    outcome = stage.play(schedule)
    wrong = list(outcome.findings)
    if [end.business_key for end in outcome.ends] != [end.business_key for end in expected.ends]:
        wrong.append(f"{len(outcome.ends)} sagas instead of {len(expected.ends)}")
    for end, wanted in zip(outcome.ends, expected.ends, strict=False):
        if end != wanted and end.status not in stage.scenario.also:
            wrong.append(f"{end} instead of {wanted}")
    return wrong
