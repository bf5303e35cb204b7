"""Where a scenario is played with trouble: who works, dies and takes over, and how time passes."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from outbox.relay import relay_once
from outbox.transports import TRANSPORTS
from sagas import reply_consumer
from sagas.engine import flights, statements
from sagas.engine.driver import Driver
from sagas.models import RetentionRule, Saga
from sagas.participants import local
from sagas.participants.batches import BatchAction
from sagas.participants.calls import BusinessFailure, Call
from sagas.retention import retaining
from tests.builders import let_pass
from tests.crashes import acts
from tests.crashes.acts import PATIENCE, REPLIES
from tests.crashes.fuse import CUT_OFF, Fuse, Killed, Schedule, Trouble, Way, burning, hang_up
from tests.crashes.judging import (
    Outcome,
    begun_early,
    ends_of,
    fates,
    half_gone,
    lost_messages,
    undone_too_often,
    wrong_with,
)
from tests.crashes.scenarios import Scenario
from tests.crashes.world import AtOnce, Effect, Line, Reader, World, refuse_locally
from tests.outbox.builders import end_leases
from tests.sagas.rivals import rival


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
        # Whoever has read a reply and has not taken it is dead.
        patch.setattr(reply_consumer, "CLAIM_AFTER_S", 0.0)
        # What has ended is old at once, and goes one by one.
        patch.setattr(retaining, "DAY_S", 0)
        patch.setattr(retaining, "longest_retry_s", lambda definition: 0.0)
        patch.setattr(retaining, "BATCH", 1)
        yield


class Stage:
    """Where a scenario is played, again and again, with trouble of another kind each time."""

    def __init__(self, scenario: Scenario, reader: Reader) -> None:
        self.scenario = scenario
        definitions = scenario.store()
        steps = [step for definition in definitions for step in definition.steps]
        self.sends_commands = any(step.participant == "Post" for step in steps)
        for status, action in scenario.retention.items():
            RetentionRule.objects.create(
                definition=scenario.name, status=status, action=action, keep_days=1
            )
        self._reader = reader
        self._turn = self._requests = 0
        for step in steps:
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
                acts.play(self, act)
        outcome = self._outcome()
        return outcome._replace(findings=outcome.findings + surprises.met)

    @property
    def mark(self) -> str:
        """What the business keys of this play begin with."""
        return f"{self._turn}-"

    @property
    def keys(self) -> list[str]:
        """The business keys of this play's sagas."""
        return [f"{self.mark}{number}" for number in range(len(self.scenario.inputs))]

    def request_id(self) -> str:
        """Return a new id for an order, of this play only."""
        self._requests += 1
        return f"order {self._requests}"

    def sagas(self) -> list[Saga]:
        """Return the sagas of this play; one and that of its step, whoever was first."""
        return list(Saga.objects.filter(pk__gt=self._marker).order_by("business_key", "definition"))

    def is_due_soon(self) -> bool:
        """Say whether a saga has anything to do, or is held; one may wait for an operator."""
        return Saga.objects.filter(
            pk__gt=self._marker, due_at__lt=Now() + timedelta(minutes=1)
        ).exists()

    # Who acts.

    def act(self, work: Callable[[], object]) -> None:
        """Have somebody do it; when trouble breaks it off, somebody else does it again."""
        self._work = work
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
                if connection.connection is not None and connection.connection.closed:
                    # Lost after all was committed: nobody noticed.
                    hang_up()
                return

    def drive(self) -> None:
        driver = Driver(concurrency=self.scenario.concurrency)
        try:
            driver.drive()
        finally:
            driver.close()

    def take_replies(self) -> None:
        reply_consumer.ReplyConsumer(REPLIES).drain(budget_s=10.0)

    def _let_another_work(self, dies_after: int) -> None:
        with rival() as other:
            other.do(lambda: self._work_as_another(dies_after))

    def _work_as_another(self, dies_after: int) -> None:
        self._end_leases()
        fuse = Fuse([Trouble(dies_after, Way.KILL)])
        try:
            with fuse.lit():
                _wait_for_locks("10ms")
                self._repeat_at_once()
                _wait_for_locks("300ms")
                self.drive()
                if self.sends_commands:
                    end_leases()
                    relay_once()
                if self.scenario.streams:
                    self.take_replies()
        except Killed:
            hang_up()
        except CUT_OFF as error:
            if "lock timeout" not in str(error):
                raise
            # It would have to wait for who stands still, and dies before that.
            hang_up()

    def _repeat_at_once(self) -> None:
        """Do what stands still, as an impatient client does, unless that has locked it."""
        if self._work in (self.drive, relay_once):
            return
        with suppress(*CUT_OFF):
            self._work()

    # How time passes.

    def let_time_pass(self) -> None:
        for saga in self.sagas():
            if saga.due_at is not None:
                let_pass(saga, 1)
        self._end_leases()

    def _end_leases(self) -> None:
        """Let all leases end, but for sagas that somebody is writing right now."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE sagas_saga SET due_at = now() - interval '1 s' WHERE id IN (SELECT id"
                " FROM sagas_saga WHERE id > %s AND due_at IS NOT NULL FOR UPDATE SKIP LOCKED)",
                [self._marker],
            )

    # What callables of this process do.

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
        near, far, sagas = self._near_effects(), self.world.done, self.sagas()
        ends = ends_of(fates(sagas, self._marker), near, far)
        wrong = [
            *wrong_with(sagas, [*near, *far], self._marker),
            *begun_early(sagas),
            *undone_too_often(ends),
        ]
        if "relay" in self.scenario.acts:
            wrong += lost_messages(sagas, self.world.published)
        if "retain" in self.scenario.acts:
            wrong += half_gone(self._marker)
        least = self.scenario.least
        if least and least not in [end.status for end in ends]:
            wrong.append(f"nobody is {least}")
        return Outcome(ends, wrong)

    def _near_effects(self) -> list[Effect]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT * FROM near_effects WHERE business_key LIKE %s", [f"{self.mark}%"]
            )
            return [Effect(*row) for row in cursor.fetchall()]


def findings(stage: Stage, expected: Outcome, schedule: Schedule) -> list[str]:
    """Play a schedule and return what is wrong, given the outcome without trouble."""
    outcome = stage.play(schedule)
    wrong = list(outcome.findings)
    if [end.business_key for end in outcome.ends] != [end.business_key for end in expected.ends]:
        wrong.append(f"{len(outcome.ends)} sagas instead of {len(expected.ends)}")
    for end, wanted in zip(outcome.ends, expected.ends, strict=False):
        if end != wanted and end.stands not in stage.scenario.also.get(end.status, ()):
            wrong.append(f"{end} instead of {wanted}")
    return wrong


def _wait_for_locks(at_most: str) -> None:
    """Let this thread's statements fail that would have to wait longer for somebody's lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [at_most])
