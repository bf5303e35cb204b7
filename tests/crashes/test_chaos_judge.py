"""The judge of the chaos finds what is wrong, and nothing where all is well."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.db.models.functions import Now

from dlq.burying import bury_reply
from dlq.models import DeadLetter
from examples.participants.app import Participants
from examples.participants.protocol import Request
from outbox.models import Delivery
from outbox.publishing import publish
from sagas.catalogue import store_definition
from sagas.core.definition import Definition
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.models import JournalEntry, LockWait, Saga, SagaLock
from sagas.participants import local
from sagas.participants.calls import BusinessFailure, Call
from sagas.starting import start
from sagas.verbs import Order, perform
from tests.crashes.chaos import callables
from tests.crashes.chaos.judging import idle, judge_all
from tests.crashes.chaos.logs import complaints
from tests.crashes.chaos.records import Promises
from tests.crashes.chaos.stories import order, pack, payment, pick

pytestmark = pytest.mark.django_db
REQUEST = "pause 1"


class Scene(NamedTuple):
    """What is left of a run in which nothing went wrong: one saga is done, another one undone."""

    promises: Promises
    data: Path
    done: Saga
    undone: Saga

    def judge(self) -> list[str]:
        return list(judge_all(self.promises, self.data))

    def change_table(self, statement: str, saga: Saga) -> None:
        """Change the table of the service that took the orders."""
        with closing(sqlite3.connect(self.data / "OrderService.sqlite3")) as table, table:
            assert table.execute(statement, [str(saga.pk)]).rowcount == 1


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(callables, "REFUSED", {})
    monkeypatch.setattr(callables, "BROKEN", 0.0)
    callables.make_table()
    services = Participants(["OrderService", "PaymentService"], tmp_path)
    register(services, "OrderService", "createOrder", "cancelOrder")
    register(services, "PaymentService", "chargeCard", "refundPayment")
    store_definition(Definition("sale", (pick(), order(), pack(), payment())))
    keys = {"good": {}, "poor": {"amount": -1}}
    sagas = [
        start("sale", given, business_key=key, idempotency_key=key).saga_id
        for key, given in keys.items()
    ]
    perform(Verb.PAUSE, sagas[0], Order(None, REQUEST, REQUEST))
    perform(Verb.RESUME, sagas[0], Order(None, "resume 2", "resume 2"))
    Saga.objects.update(due_at=Now())
    Driver().drive()
    Delivery.objects.all().delete()
    promises = Promises(
        [{"start": key, "saga": str(pk)} for key, pk in zip(keys, sagas, strict=True)],
        [
            {"order": "pause", "saga": str(sagas[0]), "request": REQUEST, "done": True},
            {"order": "cancel", "saga": str(sagas[1]), "request": "cancel 3", "done": False},
        ],
        [],
    )
    return Scene(promises, tmp_path, *(Saga.objects.get(pk=pk) for pk in sagas))


def register(services: Participants, name: str, *actions: str) -> None:
    """Let this process call a service that keeps tables of its own, without HTTP."""

    def call(call: Call) -> Any:
        body = {"saga_id": str(call.saga_id), "business_key": call.business_key}
        body |= {"step": call.step, "attempt": call.attempt, "input": call.input}
        headers = {"idempotency-key": call.idempotency_key}
        path, content = f"/{name}/{call.action}", json.dumps(body).encode()
        answer = services.answer(Request("POST", path, "", headers, content, keep_alive=True))
        assert answer is not None
        if answer.status >= 400:
            raise BusinessFailure(answer.body)
        return json.loads(answer.body)

    for action in actions:
        local.register(name, action, call)


def test_nothing_is_told_where_nothing_is_wrong(scene: Scene) -> None:
    assert [scene.done.status, scene.undone.status] == ["completed", "compensated"]
    assert scene.judge() == []
    assert list(idle(scene.promises)) == []


def lose_a_saga(scene: Scene) -> None:
    Saga.objects.filter(pk=scene.done.pk).delete()


def start_one_twice(scene: Scene) -> None:
    start("sale", {}, business_key="good")


def repeat_a_local_effect(scene: Scene) -> None:
    change_here(
        "INSERT INTO chaos_effects (saga_id, step, direction, key)"
        " SELECT saga_id, step, direction, key FROM chaos_effects"
        " WHERE saga_id = %s AND step = 'Pick'",
        scene.done,
    )


def repeat_an_effect_under_another_key(scene: Scene) -> None:
    change_here(
        "INSERT INTO chaos_effects (saga_id, step, direction, key)"
        " SELECT saga_id, step, direction, key || '/2' FROM chaos_effects"
        " WHERE saga_id = %s AND step = 'Pick'",
        scene.done,
    )


def lose_a_local_effect(scene: Scene) -> None:
    change_here("DELETE FROM chaos_effects WHERE saga_id = %s AND step = 'Pack'", scene.done)


def miss_a_local_undo(scene: Scene) -> None:
    change_here(
        "DELETE FROM chaos_effects WHERE saga_id = %s AND step = 'Pick' AND direction = 'backward'",
        scene.undone,
    )


def change_here(statement: str, saga: Saga) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, [saga.pk])
        assert cursor.rowcount == 1


def repeat_an_effect_elsewhere(scene: Scene) -> None:
    columns = "saga_id, business_key, step, action, resource, quantity, amount"
    scene.change_table(
        f"INSERT INTO effects ({columns}) SELECT {columns} FROM effects WHERE saga_id = ?",
        scene.done,
    )


def lose_an_effect_elsewhere(scene: Scene) -> None:
    scene.change_table("DELETE FROM effects WHERE saga_id = ?", scene.done)


def miss_an_undo_elsewhere(scene: Scene) -> None:
    scene.change_table("UPDATE effects SET status = 'active' WHERE saga_id = ?", scene.undone)


def undo_what_is_done(scene: Scene) -> None:
    scene.change_table("UPDATE effects SET status = 'undone' WHERE saga_id = ?", scene.done)


def do_it_for_nobody(scene: Scene) -> None:
    scene.change_table("UPDATE effects SET saga_id = 'x' || saga_id WHERE saga_id = ?", scene.done)


def alter_the_journal(scene: Scene) -> None:
    entry = JournalEntry.objects.filter(saga_id=scene.done.pk, kind="step_succeeded", step="Pick")
    assert entry.update(data={"attempt": 1, "output": "something else"}) == 1


def tear_out_of_the_journal(scene: Scene) -> None:
    assert JournalEntry.objects.filter(saga_id=scene.done.pk, kind="paused").delete()[0] == 1


def forget_an_order(scene: Scene) -> None:
    order = {"order": "cancel", "saga": str(scene.done.pk), "request": "cancel 4", "done": True}
    scene.promises.orders.append(order)


def obey_a_refused_order(scene: Scene) -> None:
    scene.promises.orders[0]["done"] = False


def answer_what_nobody_should_be_answered(scene: Scene) -> None:
    scene.promises.surprises.append("GET sagas/: 500")


def leave_a_saga_to_nobody(scene: Scene) -> None:
    started = start("sale", {}, business_key="late")
    scene.promises.starts.append({"start": "late", "saga": str(started.saga_id)})
    Saga.objects.filter(pk=started.saga_id).update(due_at=scene.done.created_at)


def stop_without_a_reason(scene: Scene) -> None:
    assert Saga.objects.filter(pk=scene.done.pk).update(status="failed") == 1


def leave_a_lock(scene: Scene) -> None:
    SagaLock.objects.create(name="shelf:1", saga=scene.done, step="Pick")


def leave_a_waiter(scene: Scene) -> None:
    LockWait.objects.create(name="shelf:1", saga=scene.done, step="Pick")


def leave_a_message(scene: Scene) -> None:
    publish("saga.started", "key", {})


def bury_a_reply(scene: Scene) -> None:
    bury_reply(
        participant="ShippingService",
        message_id="1",
        payload={},
        headers={},
        reason=DeadLetter.Reason.POISON,
        error_class="InvalidReply",
        error_message="It cannot be read.",
    )


TOLD: dict[Callable[[Scene], None], str] = {
    lose_a_saga: "the start good is lost",
    start_one_twice: "good was started 2 times",
    repeat_a_local_effect: "/Pick/do was done 2 times",
    repeat_an_effect_under_another_key: "Pick is succeeded and stands 2 times",
    lose_a_local_effect: "Pack is succeeded and stands 0 times",
    miss_a_local_undo: "Pick is compensated and stands 1 times",
    repeat_an_effect_elsewhere: "Order is succeeded and stands 2 times",
    lose_an_effect_elsewhere: "is completed, but Order does not stand",
    miss_an_undo_elsewhere: "is compensated, but Order",
    undo_what_is_done: "Order is succeeded and stands 0 times",
    do_it_for_nobody: "belongs to no saga",
    alter_the_journal: "wrong_snapshot",
    tear_out_of_the_journal: "broken_journal",
    forget_an_order: "cancel 4 of",
    obey_a_refused_order: "was refused, the journal has 1",
    answer_what_nobody_should_be_answered: "surprise: GET sagas/: 500",
    leave_a_saga_to_nobody: "late is still running: nobody holds it",
    stop_without_a_reason: "good has stopped, and no step says why",
    leave_a_lock: "lock shelf:1 is left",
    leave_a_waiter: "still waits for lock shelf:1",
    leave_a_message: "a message is left in the outbox: saga.started",
    bury_a_reply: "a dead letter: ShippingService InvalidReply",
}


@pytest.mark.parametrize("plant", TOLD, ids=lambda plant: plant.__name__)
def test_an_error_that_is_planted_is_told(scene: Scene, plant: Callable[[Scene], None]) -> None:
    plant(scene)

    told = scene.judge()

    assert any(TOLD[plant] in what for what in told), told


def test_an_error_on_a_log_is_told_and_a_warning_is_not(tmp_path: Path) -> None:
    lines = [
        "2027-03-14 09:00:00,123 WARNING sagas.reply_consumer: Replies are not taken",
        "2027-03-14 09:00:01,123 ERROR sagas.engine.driver: Saga 7 cannot go on",
        "2027-03-14 09:00:02,123 ERROR celery.worker.consumer.consumer: Cannot connect",
    ]
    (tmp_path / "worker.log").write_text("\n".join(lines))

    assert list(complaints(tmp_path)) == [f"worker.log: {lines[1]}"]


def test_a_run_in_which_nothing_happened_proves_nothing(scene: Scene) -> None:
    Saga.objects.filter(pk=scene.done.pk).delete()
    scene.promises.orders.clear()

    assert list(idle(scene.promises)) == [
        "no saga of sale is completed",
        "no order was acknowledged",
    ]
