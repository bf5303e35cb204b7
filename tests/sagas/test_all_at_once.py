"""Two operators and the timer of a retry at one saga: one of them wins, the others are told."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Barrier
from typing import Any

import pytest

from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.models import JournalEntry, Saga
from sagas.verbs import Order, Result, perform_many
from tests.builders import QUICK, Script, let_pass, make_saga, make_step, store
from tests.sagas.rivals import Rival, rival

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 12
# What each of them writes first when it wins.
FIRST = {"cancelled": Verb.CANCEL, "paused": Verb.PAUSE, "step_succeeded": None}


def test_one_of_two_operators_and_the_timer_wins_and_the_others_are_told() -> None:
    """Edge case 20."""
    definition = store(make_step("A"), make_step("B", retry=QUICK))
    with rival() as one, rival() as two, rival() as worker:
        for number in range(ROUNDS):
            Script(doB=[ValueError()]).register(definition)
            saga = make_saga(definition, key=f"order-{number}")
            drive()
            let_pass(saga, 1)
            saga.refresh_from_db()
            seen = saga.version

            told = race(saga, one, two, worker)

            first = JournalEntry.objects.get(saga_id=saga.pk, seq=seen + 1)
            winner = FIRST[first.kind]
            assert [verb for verb, result in told.items() if result.outcome == "done"] == (
                [winner] if winner else []
            )
            assert {result.outcome for verb, result in told.items() if verb != winner} == {
                "conflict"
            }


def race(saga: Saga, one: Rival, two: Rival, worker: Rival) -> dict[Verb, Result]:
    """Let them all begin at the same moment; return what the operators were told."""
    ready = Barrier(3)
    orders = {Verb.CANCEL: one, Verb.PAUSE: two}
    driving: Future[Any] = worker.begin(lambda: (ready.wait(20), drive()))
    told = {
        verb: who.begin(lambda verb=verb: (ready.wait(20), give(verb, saga))[1])
        for verb, who in orders.items()
    }
    driving.result(20)
    return {verb: result.result(20) for verb, result in told.items()}


def drive() -> None:
    driver = Driver()
    driver.drive()
    driver.close()


def give(verb: Verb, saga: Saga) -> Result:
    [result] = perform_many(
        verb, [(saga.pk, saga.version)], Order(None, "because", f"{verb} {saga.pk}")
    )
    return result
