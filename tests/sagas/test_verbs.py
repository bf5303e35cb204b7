"""Operators' verbs as functions: done, refused, repeated, and written down."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User

from sagas.core.definition import OnFailure, RetryPolicy, Step, StepType
from sagas.core.verbs import Verb
from sagas.engine.driver import Driver
from sagas.exceptions import IllegalVerb, InvalidOrder, SagaNotFound, VersionConflict
from sagas.models import JournalEntry, Saga, VerbRequest
from sagas.starting import start
from sagas.verbs import Details, Order, perform, perform_many
from tests.builders import (
    QUICK,
    Script,
    drive_on,
    journal_of,
    let_pass,
    make_saga,
    make_step,
    no,
    store,
)
from tests.sagas.rivals import rival

pytestmark = pytest.mark.django_db

# Some status in which each verb is legal, and one in which it is not.
LEGAL = {
    Verb.RETRY: "failed",
    Verb.COMPENSATE: "failed",
    Verb.PAUSE: "running",
    Verb.RESUME: "paused",
    Verb.CANCEL: "running",
    Verb.MARK_DONE: "failed",
    Verb.SKIP: "failed",
    Verb.REWIND: "failed",
    Verb.RUN_NOW: "in back-off",
    Verb.MOVE: "failed",
    Verb.ABANDON: "failed",
    Verb.APPROVE: "undecided",
    Verb.REJECT: "undecided",
}
DETAILS = {
    Verb.MARK_DONE: Details("A", "receipt 7"),
    Verb.SKIP: Details("B"),
    Verb.REWIND: Details("A"),
    Verb.MOVE: Details(version=2),
    Verb.APPROVE: Details("B"),
    Verb.REJECT: Details("B"),
}
# Step B of a saga in this status, where it is not a plain one.
STEPS = {
    "in back-off": make_step("B", retry=RetryPolicy(attempts=2, initial_s=60)),
    "undecided": Step("B", "", "approve", type=StepType.APPROVAL),
}
ILLEGAL = dict.fromkeys(Verb, "compensated")


@pytest.fixture
def mina() -> User:
    return User.objects.create_user("operator")


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def saga_in(driver: Driver, script: Script) -> Any:
    """Return a function that makes a saga of steps A and B in a status."""

    def make(status: str, key: str = "order-1") -> Saga:
        parks = status == "failed"
        definition = store(
            make_step("A"),
            STEPS.get(status, make_step("B")),
            name=f"{status} ones",
            on_failure=OnFailure.PARK if parks else OnFailure.COMPENSATE,
        )
        if parks:
            store(make_step("A"), make_step("B", timeout_s=7.0), name=f"{status} ones")
        script.register(definition)
        started = start(definition.name, {}, business_key=key, version=1)
        saga = Saga.objects.get(pk=started.saga_id)
        if status == "in back-off":
            script.script["doB"] = [OSError("later")]
        if status in ("failed", "compensated"):
            script.script["doB"] = [no("Nothing left.")]
        if status == "paused":
            perform(Verb.PAUSE, saga.pk, an_order())
        elif status != "running":
            driver.drive()
        saga.refresh_from_db()
        return saga

    return make


def an_order(actor: Any = None, **overrides: Any) -> Order:
    return Order(
        **{"actor": actor, "reason": "because", "request_id": str(uuid.uuid4())} | overrides
    )


def give(verb: Verb, saga: Saga, order: Order) -> Saga:
    return perform(verb, saga.pk, order, DETAILS.get(verb, Details()))


@pytest.mark.parametrize(
    ("verb", "status", "paused"),
    [
        (Verb.RETRY, "running", False),
        (Verb.COMPENSATE, "compensating", False),
        (Verb.PAUSE, "running", True),
        (Verb.RESUME, "running", False),
        (Verb.CANCEL, "compensated", False),
        (Verb.MARK_DONE, "compensated", False),
        (Verb.SKIP, "completed", False),
        (Verb.REWIND, "compensating", False),
        (Verb.RUN_NOW, "running", False),
        (Verb.MOVE, "failed", False),
        (Verb.ABANDON, "abandoned", False),
        (Verb.APPROVE, "completed", False),
        (Verb.REJECT, "compensating", False),
    ],
)
def test_a_verb_is_done_and_written_down(
    saga_in: Any, mina: User, verb: Verb, status: str, paused: bool
) -> None:
    saga = saga_in(LEGAL[verb])

    after = give(verb, saga, an_order(mina, reason="The card works again."))

    assert (after.status, after.paused) == (status, paused)
    entry = JournalEntry.objects.get(saga=saga, seq=saga.version + 1)
    assert (entry.data["actor"], entry.data["reason"]) == ("operator", "The card works again.")
    row = LogEntry.objects.get(object_id=str(saga.pk))
    assert row.user == mina
    assert json.loads(row.change_message)["verb"] == verb.value
    assert "The card works again." in json.loads(row.change_message)["reason"]


@pytest.mark.parametrize("verb", list(Verb))
def test_a_verb_in_the_wrong_status_is_refused_with_the_reason(saga_in: Any, verb: Verb) -> None:
    saga = saga_in(ILLEGAL[verb])
    before = journal_of(saga)

    with pytest.raises(IllegalVerb) as refusal:
        give(verb, saga, an_order())

    assert refusal.value.why
    assert journal_of(saga) == before
    assert not VerbRequest.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("verb", list(Verb))
def test_a_verb_that_is_sent_twice_is_done_once(saga_in: Any, mina: User, verb: Verb) -> None:
    """Edge case 21."""
    saga = saga_in(LEGAL[verb])
    order = an_order(mina, version=saga.version)

    first = give(verb, saga, order)
    second = give(verb, saga, order)

    assert second.version == first.version
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize("verb", list(Verb))
def test_a_verb_on_a_version_that_has_passed_is_refused(saga_in: Any, verb: Verb) -> None:
    """Edge case 20."""
    saga = saga_in(LEGAL[verb])

    with pytest.raises(VersionConflict) as conflict:
        give(verb, saga, an_order(version=saga.version - 1))

    assert (conflict.value.seen, conflict.value.found) == (saga.version - 1, saga.version)
    saga.refresh_from_db()
    assert saga.version == conflict.value.found


@pytest.mark.parametrize("verb", list(Verb))
def test_a_verb_on_a_missing_saga_is_refused(verb: Verb) -> None:
    with pytest.raises(SagaNotFound):
        give(verb, Saga(pk=uuid.uuid4()), an_order())


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize(
    "order", [{"reason": " "}, {"request_id": ""}, {"request_id": "x" * 101}], ids=str
)
def test_an_order_needs_a_reason_and_a_request_id(
    saga_in: Any, verb: Verb, order: dict[str, str]
) -> None:
    saga = saga_in(LEGAL[verb])

    with pytest.raises(InvalidOrder):
        give(verb, saga, an_order(**order))


@pytest.mark.parametrize(
    "marks", [{}, {"step": "A"}, {"evidence": "x"}, {"step": "A", "evidence": " "}]
)
def test_marking_needs_a_step_and_evidence(saga_in: Any, marks: dict[str, str]) -> None:
    saga = saga_in("failed")

    with pytest.raises(InvalidOrder):
        perform(Verb.MARK_DONE, saga.pk, an_order(), Details(**marks))


@pytest.mark.parametrize("step", ["B", "Elsewhere"])
def test_a_step_without_an_effect_cannot_be_marked(saga_in: Any, step: str) -> None:
    saga = saga_in("failed")

    with pytest.raises(IllegalVerb, match="it can for: A"):
        perform(Verb.MARK_DONE, saga.pk, an_order(), Details(step, "receipt 7"))


def test_evidence_is_kept_in_the_journal(saga_in: Any) -> None:
    saga = saga_in("failed")

    perform(Verb.MARK_DONE, saga.pk, an_order(), Details("A", "receipt 7"))

    assert JournalEntry.objects.get(saga=saga, kind="marked_done").data["evidence"] == "receipt 7"


def test_a_request_id_of_another_order_is_refused(saga_in: Any) -> None:
    """Edge case 21."""
    saga = saga_in("running")
    perform(Verb.PAUSE, saga.pk, an_order(request_id="r1"))

    with pytest.raises(InvalidOrder, match="r1"):
        perform(Verb.RESUME, saga.pk, an_order(request_id="r1"))


def test_a_retried_saga_runs_to_its_end_under_a_new_key(
    saga_in: Any, driver: Driver, script: Script
) -> None:
    saga = saga_in("failed")

    perform(Verb.RETRY, saga.pk, an_order())
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert (saga.failed_step, saga.error_message, saga.fingerprint) == ("", "", "")
    assert [call.idempotency_key.split("/", 1)[1] for call in script.calls] == [
        "A/do",
        "B/do",
        "B/do/2",
    ]


def test_a_compensated_order_undoes_what_stood(
    saga_in: Any, driver: Driver, script: Script
) -> None:
    saga = saga_in("failed")

    perform(Verb.COMPENSATE, saga.pk, an_order())
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert script.actions[-1] == "undoA"


def test_a_paused_saga_is_not_due_until_it_is_resumed(
    saga_in: Any, driver: Driver, script: Script
) -> None:
    """Edge case 22."""
    saga = saga_in("paused")
    assert saga.due_at is None
    driver.drive()
    assert script.calls == []

    perform(Verb.RESUME, saga.pk, an_order())
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "completed"


def test_a_pause_does_not_count_for_the_time_a_saga_may_take(driver: Driver) -> None:
    """Edge case 22."""
    definition = store(make_step("A"), make_step("B"), timeout_s=60.0)
    script = Script(doB=[ValueError()]).register(definition)
    slow = definition.steps[1].retry._replace(attempts=3, initial_s=30.0, jitter=False)
    definition = store(make_step("A"), make_step("B", retry=slow), timeout_s=60.0)
    saga = make_saga(definition)
    driver.drive()
    perform(Verb.PAUSE, saga.pk, an_order())

    let_pass(saga, 1_000)
    perform(Verb.RESUME, saga.pk, an_order())
    let_pass(saga, 31)
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
    assert script.actions == ["doA", "doB", "doB"]


def test_a_cancelled_saga_undoes_what_it_did(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B", retry=QUICK))
    script = Script(doB=[ValueError("not yet")]).register(definition)
    saga = make_saga(definition)
    driver.drive()

    perform(Verb.CANCEL, saga.pk, an_order())
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert script.actions[-1] == "undoA"


def test_a_saga_that_has_ended_cannot_be_cancelled(saga_in: Any) -> None:
    """Edge case 24."""
    saga = saga_in("completed")

    with pytest.raises(IllegalVerb):
        perform(Verb.CANCEL, saga.pk, an_order())

    saga.refresh_from_db()
    assert saga.status == "completed"


def test_every_failed_undo_is_retried_at_once(driver: Driver) -> None:
    """Edge case 38."""
    definition = store(make_step("A"), make_step("B"), make_step("C"))
    script = Script(doC=[no()], undoA=[no()], undoB=[no()]).register(definition)
    saga = make_saga(definition)
    driver.drive()
    saga.refresh_from_db()
    assert saga.status == "failed"

    perform(Verb.RETRY, saga.pk, an_order())
    drive_on(driver, saga)

    saga.refresh_from_db()
    assert saga.status == "compensated"
    assert script.actions[-2:] == ["undoB", "undoA"]
    assert script.calls[-1].idempotency_key.endswith("A/undo/2")


def test_a_batch_tells_for_every_saga_what_became_of_it(saga_in: Any, mina: User) -> None:
    failed, other = saga_in("failed"), saga_in("failed", key="order-2")
    ended, missing = saga_in("completed"), uuid.uuid4()

    results = perform_many(
        Verb.RETRY,
        [
            (failed.pk, failed.version),
            (other.pk, other.version - 1),
            (ended.pk, None),
            (missing, None),
        ],
        an_order(mina),
    )

    assert [result.outcome for result in results] == ["done", "conflict", "illegal", "missing"]
    assert [bool(result.message) for result in results] == [False, True, True, True]
    assert LogEntry.objects.count() == 1


def test_a_batch_that_is_sent_twice_is_done_once(saga_in: Any, mina: User) -> None:
    """Edge case 21."""
    sagas = [saga_in("failed"), saga_in("failed", key="order-2")]
    batch = [(saga.pk, saga.version) for saga in sagas]
    order = an_order(mina)
    perform_many(Verb.RETRY, batch, order)

    results = perform_many(Verb.RETRY, batch, order)

    assert [result.outcome for result in results] == ["done", "done"]
    assert LogEntry.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_same_press_twice_at_the_same_moment_is_done_once(saga_in: Any, driver: Driver) -> None:
    """Edge cases 20 and 21."""
    saga = saga_in("failed")
    order = an_order()

    with rival() as one, rival() as two:
        presses = [other.begin(lambda: perform(Verb.RETRY, saga.pk, order)) for other in (one, two)]
        versions = {press.result(20).version for press in presses}

    assert versions == {saga.version + 1}
    assert journal_of(saga).count("retried") == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_operators_with_one_version_the_second_is_told(saga_in: Any) -> None:
    """Edge case 20."""
    saga = saga_in("failed")

    def press(verb: Verb) -> str:
        [result] = perform_many(verb, [(saga.pk, saga.version)], an_order())
        return result.outcome

    with rival() as one, rival() as two:
        presses = [one.begin(lambda: press(Verb.RETRY)), two.begin(lambda: press(Verb.COMPENSATE))]
        outcomes = sorted(waiting.result(20) for waiting in presses)

    assert outcomes == ["conflict", "done"]
