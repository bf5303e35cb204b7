"""Callables in the batch's transaction: their writes, savepoints, hooks, and their mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox.models import Message
from outbox.publishing import publish
from sagas.engine.driver import Driver
from sagas.models import Saga
from sagas.participants import local
from sagas.participants.calls import MAX_ERROR_CHARS, BusinessFailure, Call
from sagas.starting import start
from tests.builders import QUICK, Script, journal_of, make_saga, make_step, no, store

pytestmark = pytest.mark.django_db


def write_group(call: Call) -> None:
    Group.objects.create(name=f"by {call.business_key}")


def written() -> list[str]:
    return sorted(Group.objects.filter(name__startswith="by ").values_list("name", flat=True))


def one_step(*outcomes: Any) -> tuple[Saga, Script]:
    """Return a saga of one step that plays these outcomes."""
    definition = store(make_step("A"))
    script = Script(doA=list(outcomes)).register(definition)
    return make_saga(definition), script


def status_of(saga: Saga) -> str:
    saga.refresh_from_db()
    return saga.status


def test_what_a_callable_writes_is_kept_with_its_result(driver: Driver) -> None:
    saga, _ = one_step(write_group)

    driver.drive()

    assert status_of(saga) == "completed"
    assert written() == ["by order-1"]


def test_what_a_failing_callable_wrote_is_undone_and_its_siblings_keep_theirs(
    driver: Driver,
) -> None:
    definition = store(make_step("A"))

    def write(call: Call) -> None:
        write_group(call)
        if call.business_key == "order-2":
            raise no()

    local.register("Service", "doA", write)
    sagas = [make_saga(definition, key=f"order-{number}") for number in (1, 2, 3)]

    driver.drive()

    assert [status_of(saga) for saga in sagas] == ["completed", "compensated", "completed"]
    assert written() == ["by order-1", "by order-3"]


def test_many_failing_callables_leave_no_savepoint_open(driver: Driver) -> None:
    definition = store(make_step("A"))
    open_savepoints = []

    def fail(call: Call) -> None:
        write_group(call)
        with connection.cursor() as cursor:
            # Every open savepoint that has written holds the lock of a transaction id of its own.
            cursor.execute(
                "SELECT count(*) FROM pg_locks"
                " WHERE locktype = 'transactionid' AND pid = pg_backend_pid()"
            )
            open_savepoints.append(cursor.fetchone()[0])
        raise no()

    local.register("Service", "doA", fail)
    for number in range(20):
        make_saga(definition, key=f"order-{number}")

    driver.drive()

    assert open_savepoints[-1] == open_savepoints[0]


def test_a_callable_that_does_not_query_costs_no_savepoint(driver: Driver) -> None:
    one_step()

    with CaptureQueriesContext(connection) as queries, watching_savepoints() as savepoints:
        driver.drive()

    assert savepoints == []
    assert not any("SAVEPOINT" in query["sql"] and "saga" in query["sql"] for query in queries)


def test_a_callable_that_queries_takes_one_savepoint(driver: Driver) -> None:
    one_step(write_group)

    with watching_savepoints() as savepoints:
        driver.drive()

    assert savepoints == ["SAVEPOINT saga_step", "RELEASE SAVEPOINT saga_step"]


def test_queries_of_a_batch_do_not_grow_with_its_callables(driver: Driver) -> None:
    definition = store(make_step("A"), make_step("B"))
    Script().register(definition)

    def count(sagas: int) -> int:
        for number in range(sagas):
            make_saga(definition, key=f"order-{number}")
        with CaptureQueriesContext(connection) as queries:
            Driver().drive()
        return len(queries)

    assert count(20) == count(2)


def test_a_callable_may_fail_inside_an_atomic_block_of_its_own(driver: Driver) -> None:
    def survive(call: Call) -> dict[str, bool]:
        Group.objects.create(name="by before")
        try:
            with transaction.atomic():
                Group.objects.create(name="by inside")
                Group.objects.create(name="by inside")
        except IntegrityError:
            return {"survived": True}
        return {}

    saga, _ = one_step(survive)

    driver.drive()

    assert status_of(saga) == "completed"
    assert written() == ["by before"]


def test_a_callable_that_fails_in_an_atomic_block_of_its_own_is_undone(driver: Driver) -> None:
    def fail(call: Call) -> None:
        Group.objects.create(name="by before")
        with transaction.atomic():
            Group.objects.create(name="by inside")
            raise no()

    saga, _ = one_step(fail)

    driver.drive()

    assert status_of(saga) == "compensated"
    assert written() == []


def swallow_a_broken_query(call: Call) -> dict[str, bool]:
    """What PostgreSQL and Django both forbid: going on in a transaction that has broken."""
    Group.objects.create(name="by twice")
    try:
        Group.objects.create(name="by twice")
    except IntegrityError:
        return {"fine": True}
    return {}


def swallow_a_broken_block(call: Call) -> dict[str, bool]:
    try:
        with transaction.atomic(savepoint=False):
            raise ValueError
    except ValueError:
        return {"fine": True}


def only_for_the_second(callable_: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """Sagas of one moment are driven in any order."""
    return lambda call: (callable_ if call.business_key == "order-2" else write_group)(call)


@pytest.mark.parametrize("callable_", [swallow_a_broken_query, swallow_a_broken_block])
def test_a_callable_that_broke_its_transaction_has_failed_and_others_go_on(
    driver: Driver, callable_: Callable[[Call], Any]
) -> None:
    """Edge case 17."""
    definition = store(make_step("A"))
    script = Script(doA=3 * [only_for_the_second(callable_)]).register(definition)
    sagas = [make_saga(definition, key=f"order-{number}") for number in (1, 2, 3)]

    driver.drive()

    assert [status_of(saga) for saga in sagas] == ["completed", "compensated", "completed"]
    assert written() == ["by order-1", "by order-3"]
    assert len(script.calls) == 3


def test_an_error_inside_a_block_without_a_savepoint_leaves_the_batch_whole(
    driver: Driver,
) -> None:
    def fail(call: Call) -> None:
        with transaction.atomic(savepoint=False):
            raise no()

    definition = store(make_step("A"))
    Script(doA=3 * [only_for_the_second(fail)]).register(definition)
    sagas = [make_saga(definition, key=f"order-{number}") for number in (1, 2, 3)]

    driver.drive()

    assert [status_of(saga) for saga in sagas] == ["completed", "compensated", "completed"]


def test_what_a_failing_callable_wanted_to_do_on_commit_is_forgotten(
    driver: Driver, django_capture_on_commit_callbacks: Any
) -> None:
    done = []

    def on_commit(call: Call) -> None:
        Group.objects.create(name=call.business_key)
        transaction.on_commit(lambda: done.append(call.business_key))
        if call.business_key == "order-2":
            raise no()

    definition = store(make_step("A"))
    local.register("Service", "doA", on_commit)
    for number in (1, 2):
        make_saga(definition, key=f"order-{number}")

    with django_capture_on_commit_callbacks(execute=True):
        driver.drive()

    assert done == ["order-1"]


def test_a_saga_that_a_failing_callable_started_was_not_started(driver: Driver) -> None:
    child = store(make_step("A", participant="Nobody"), name="child")

    def begin(call: Call) -> None:
        start(child.name, {}, business_key="child")
        raise no()

    start(child.name, {}, business_key="other")
    saga, _ = one_step(begin)

    driver.drive()

    assert status_of(saga) == "compensated"
    assert not Saga.objects.filter(business_key="child").exists()


def test_a_message_that_a_failing_callable_published_does_not_leave(driver: Driver) -> None:
    def tell(call: Call) -> None:
        publish("order.done", call.business_key, {})
        raise no()

    saga, _ = one_step(tell)

    driver.drive()

    assert status_of(saga) == "compensated"
    assert not Message.objects.filter(type="order.done").exists()


def test_a_saga_that_a_callable_started_is_driven_as_well(driver: Driver) -> None:
    child = store(make_step("A", action="other"), name="child")
    local.register("Service", "other", lambda call: None)
    saga, _ = one_step(lambda call: {"id": str(start(child.name, {}, business_key="c").saga_id)})

    driver.drive()
    driver.drive()

    assert status_of(saga) == "completed"
    assert Saga.objects.get(business_key="c").status == "completed"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"text": "x" * 70_000}, "65,536 are allowed"),
        ({1, 2}, "is no JSON"),
        ({"amount": float("nan")}, "is no JSON"),
        ({"text": "a\x00b"}, "NUL"),
        ({"text": "\ud800"}, "is no JSON"),
    ],
)
def test_an_output_that_cannot_be_kept_fails_the_step_and_names_why(
    driver: Driver, output: Any, words: str
) -> None:
    """Edge cases 17 and 36."""
    definition = store(make_step("A", retry=QUICK))
    script = Script(doA=[lambda call: output]).register(definition)
    saga = make_saga(definition)

    driver.drive()

    assert status_of(saga) == "compensated"
    assert words in saga.state["cause"]["message"]
    assert len(script.calls) == 1


def test_a_step_whose_output_cannot_be_kept_loses_what_it_wrote(driver: Driver) -> None:
    def write(call: Call) -> object:
        write_group(call)
        return object()

    saga, _ = one_step(write)

    driver.drive()

    assert status_of(saga) == "compensated"
    assert written() == []


@pytest.mark.parametrize(
    "failure", [ValueError("a\x00b"), ValueError("\udcff"), ValueError("x" * 50_000)]
)
def test_any_text_of_an_error_can_be_kept(driver: Driver, failure: Exception) -> None:
    """Edge case 17."""
    saga, _ = one_step(failure)

    driver.drive()

    assert status_of(saga) == "compensated"
    assert len(saga.state["steps"][0]["error"]["message"]) <= MAX_ERROR_CHARS


def test_the_code_of_a_business_failure_is_its_class(driver: Driver) -> None:
    saga, _ = one_step(BusinessFailure("Nothing left.", code="sold\x00out"))

    driver.drive()

    assert status_of(saga) == "compensated"
    assert saga.state["cause"]["class"] == "sold\N{REPLACEMENT CHARACTER}out"


def test_an_unexpected_error_is_kept_with_its_last_frames(driver: Driver) -> None:
    saga, _ = one_step(ValueError("what?"))

    driver.drive()

    saga.refresh_from_db()
    error = saga.state["steps"][0]["error"]
    assert (error["class"], error["message"], error["retryable"]) == ("ValueError", "what?", True)
    assert "builders.py" in error["trace"]


def test_outputs_that_are_too_much_for_one_message_do_not_hold_up_the_end(driver: Driver) -> None:
    """Edge case 36."""
    names = [f"S{number}" for number in range(6)]
    definition = store(*(make_step(name) for name in names))
    big = {"text": "x" * 60_000}
    Script(**{f"do{name}": [big] for name in names}).register(definition)
    saga = make_saga(definition)

    driver.drive()

    assert status_of(saga) == "completed"
    assert journal_of(saga)[-1] == "saga_completed"
    payload = Message.objects.get(type="saga.completed").payload
    assert payload["outputs"] is None


class watching_savepoints:  # noqa: N801
    """Collects the engine's own savepoint statements, which bypass Django's cursors."""

    def __enter__(self) -> list[str]:
        self.raw = connection.connection
        self.execute = self.raw.execute
        seen: list[str] = []

        def execute(query: str, *args: Any, **options: Any) -> Any:
            if "SAVEPOINT" in query:
                seen.append(query)
            return self.execute(query, *args, **options)

        self.raw.execute = execute
        return seen

    def __exit__(self, *exc: object) -> None:
        del self.raw.execute
