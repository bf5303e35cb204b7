"""Families of sagas, their locks and their operators, drawn by chance: all of them end."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable

import pytest

from sagas.checking import stray_locks
from sagas.core.definition import (
    Definition,
    Kind,
    OnFailure,
    OnUnknown,
    RetryPolicy,
    Step,
    StepType,
)
from sagas.core.state import ENDED, StepStatus
from sagas.core.verbs import Verb, legal
from sagas.engine.driver import Driver
from sagas.engine.intervening import state_of
from sagas.exceptions import SagaError
from sagas.models import Saga, SagaLock
from sagas.participants import local
from sagas.participants.calls import BusinessFailure, Call
from sagas.signals import send_signal
from sagas.verbs import Details, Order, perform, steps_of
from tests.builders import drive_on, make_saga, store

pytestmark = pytest.mark.django_db

SEED = int(os.environ.get("SEED") or 20_270_104)
FAMILIES = int(os.environ.get("FAMILIES") or 10)
EVENTS = 40
# Whoever is not at its end after so many looks never will be.
PATIENCE = 60
POLICY = RetryPolicy(attempts=2, initial_s=0.0, cap_s=0.0, jitter=False)


class Family:
    """Two sagas with children, what their participants really did, and who meddles with them."""

    def __init__(self, chance: random.Random, driver: Driver) -> None:
        self.chance = chance
        self.driver = driver
        self.behave = False
        self.standing: dict[tuple[str, str], int] = {}
        grandchild = self._store("grandchild", None)
        child = self._store("child", grandchild)
        parent = self._store("parent", child)
        for number in range(2):
            make_saga(parent, key=f"order-{number}")

    def _store(self, name: str, below: Definition | None) -> Definition:
        chance = self.chance
        count = chance.randint(2, 4)
        pivot = chance.choice([None, None, count - 1])
        nested = chance.randrange(count) if below is not None else None
        steps = []
        for index in range(count):
            after = None if index == 0 or chance.random() < 0.6 else ()
            if index == pivot:
                after = tuple(range(index))
            step = self._step(f"{name[0].upper()}{index}", after, is_pivot=index == pivot)
            if index == nested and index != pivot and below is not None:
                step = Step(
                    step.name,
                    below.name,
                    "start",
                    "compensate",
                    type=StepType.SAGA,
                    after=after,
                    within_s=chance.choice((None, None, 5.0)),
                    on_unknown=chance.choice((OnUnknown.COMPENSATE, OnUnknown.PARK)),
                    locks=step.locks,
                )
            steps.append(step)
        return store(
            *steps,
            name=name,
            on_failure=chance.choice(tuple(OnFailure)),
            locks=self._locks(name, 1),
        )

    def _step(self, name: str, after: tuple[int, ...] | None, *, is_pivot: bool) -> Step:
        chance = self.chance
        kind = chance.randrange(8)
        if kind == 0 and not is_pivot:
            return Step(name, "", "signal", type=StepType.SIGNAL, signal="go", after=after)
        if kind == 1 and not is_pivot:
            return Step(name, "", "approve", type=StepType.APPROVAL, after=after)
        for action in (f"do{name}", f"undo{name}"):
            local.register("Service", action, self._perform)
        return Step(
            name,
            "Service",
            f"do{name}",
            f"undo{name}",
            kind=Kind.PIVOT if is_pivot else Kind.COMPENSATABLE,
            after=after,
            retry=POLICY,
            undo_retry=POLICY,
            locks=self._locks(name, 2),
        )

    def _locks(self, name: str, most: int) -> tuple[str, ...]:
        """Draw locks, but none that those above may hold: a saga would never get it."""
        names = (f"{name[0]} one".upper(), f"{name[0]} two".upper())
        return tuple(self.chance.sample(names, max(0, self.chance.randint(-1, most))))

    def _perform(self, call: Call) -> None:
        if not self.behave:
            trouble = self.chance.random()
            if trouble < 0.15:
                raise BusinessFailure("No.")
            if trouble < 0.3:
                raise ValueError("It broke.")
        key = (str(call.saga_id), call.step)
        forward = call.direction.value == "forward"
        self.standing[key] = self.standing.get(key, 0) + (1 if forward else -1)
        assert 0 <= self.standing[key] <= 1, f"{call.action} twice"

    def happen(self) -> None:
        events: list[Callable[[], None]] = [self._drive] * 4 + [self._order] * 3 + [self._signal]
        self.chance.choice(events)()

    def _drive(self) -> None:
        drive_on(self.driver, *Saga.objects.filter(due_at__isnull=False))

    def _signal(self) -> None:
        saga = self.chance.choice(list(Saga.objects.order_by("created_at", "id")))
        try:
            send_signal(saga.pk, "go", message_id=str(uuid.uuid4()))
        except SagaError:
            return

    def _order(self) -> None:
        saga = self.chance.choice(list(Saga.objects.order_by("created_at", "id")))
        definition, state = state_of(saga)
        verbs = [verb for verb in legal(definition, state) if verb not in (Verb.MOVE, Verb.ABANDON)]
        if verbs:
            self.give(saga, self.chance.choice(verbs))

    def give(self, saga: Saga, verb: Verb) -> None:
        definition, state = state_of(saga)
        places = steps_of(verb, definition, state)
        step = definition.steps[self.chance.choice(places)].name if places else ""
        if verb == Verb.MARK_DONE:
            self.standing[str(saga.pk), step] = 0
        order = Order(None, "because", str(uuid.uuid4()))
        perform(verb, saga.pk, order, Details(step=step, evidence="Seen."))

    def come_to_an_end(self) -> None:
        """Let all participants behave, and operators do what is left to them."""
        self.behave = True
        for _ in range(PATIENCE):
            self._drive()
            open_sagas = Saga.objects.exclude(status__in=ENDED).order_by("created_at", "id")
            if not open_sagas:
                return
            for saga in open_sagas:
                saga.refresh_from_db()
                self._help(saga)
        left = [(s.definition.name, s.status, s.due_at, s.state) for s in open_sagas]
        raise AssertionError(f"some never end: {left}")

    def _help(self, saga: Saga) -> None:
        verbs = legal(*state_of(saga))
        if saga.status == "failed":
            for verb in (Verb.RETRY, Verb.COMPENSATE, Verb.MARK_DONE):
                if verb in verbs:
                    self.give(saga, verb)
                    return
            raise AssertionError(f"nothing can be done with {saga.state}")
        for verb in (Verb.RESUME, Verb.APPROVE):
            if verb in verbs:
                self.give(saga, verb)
        state = state_of(saga)[1]
        if any(step.waits_for == "signal" for step in state.steps) and not state.signals:
            send_signal(saga.pk, "go", message_id=str(uuid.uuid4()))

    def check(self) -> None:
        assert list(stray_locks()) == []
        assert not SagaLock.objects.exists()
        for saga in Saga.objects.all():
            self._check(saga)

    def _check(self, saga: Saga) -> None:
        definition, state = state_of(saga)
        for step, mark in zip(definition.steps, state.steps, strict=True):
            stands = self.standing.get((str(saga.pk), step.name), 0)
            if step.type != StepType.ACTION:
                continue
            if saga.status == "compensated":
                assert not stands, f"{step.name} stands"
            elif saga.status == "completed" and mark.status == StepStatus.SUCCEEDED:
                assert stands, f"{step.name} was not done"


@pytest.mark.parametrize("number", range(FAMILIES))
def test_a_family_with_its_operators_comes_to_an_end(number: int, driver: Driver) -> None:
    """Edge cases 27 and 28."""
    family = Family(random.Random(f"{SEED} family {number}"), driver)

    for _ in range(EVENTS):
        family.happen()
    family.come_to_an_end()

    family.check()
