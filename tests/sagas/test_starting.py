"""Starting: with the caller's transaction, once per idempotency key, within the limits."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from outbox.models import Message
from sagas.engine.driver import Driver
from sagas.exceptions import DefinitionNotFound, IdempotencyConflict, InvalidInput
from sagas.models import JournalEntry, Saga, SagaStart
from sagas.starting import Start, start, start_many
from tests.builders import Script, make_saga, make_step, store
from tests.sagas.rivals import rival, wait_until_blocked


@pytest.mark.django_db
def test_a_start_stores_the_saga_its_input_and_its_first_entry() -> None:
    store(make_step("A"))

    started = start(
        "test",
        {"amount": 3},
        business_key="order-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )

    saga = Saga.objects.get(pk=started.saga_id)
    assert started.created
    assert (saga.business_key, saga.status, saga.version) == ("order-1", "running", 1)
    assert saga.due_at is not None
    assert (saga.start.input, saga.start.traceparent) == (
        {"amount": 3},
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    assert JournalEntry.objects.get(saga=saga).kind == "saga_started"
    assert Message.objects.get(type="saga.started").key == str(saga.pk)


@pytest.mark.django_db
def test_a_start_in_a_transaction_that_is_rolled_back_never_was(driver: Driver) -> None:
    definition = store(make_step("A"))
    script = Script().register(definition)

    with transaction.atomic():
        start("test", {}, business_key="order-1", idempotency_key="k1")
        transaction.set_rollback(True)

    driver.drive()
    assert script.calls == []
    assert not Saga.objects.exists()
    assert not SagaStart.objects.exists()
    assert start("test", {}, business_key="order-1", idempotency_key="k1").created


@pytest.mark.django_db
def test_the_same_key_starts_one_saga() -> None:
    """Edge case 15."""
    store(make_step("A"))

    first = start("test", {"a": 1, "b": 2}, business_key="order-1", idempotency_key="k1")
    second = start("test", {"b": 2, "a": 1}, business_key="order-1", idempotency_key="k1")

    assert second == first._replace(created=False)
    assert Saga.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "input"), [("test", {"a": 2}), ("other", {"a": 1})])
def test_the_same_key_for_something_else_is_a_conflict(name: str, input: Any) -> None:
    """Edge case 15."""
    store(make_step("A"))
    store(make_step("A"), name="other")
    first = start("test", {"a": 1}, business_key="order-1", idempotency_key="k1")

    with pytest.raises(IdempotencyConflict) as conflict:
        start(name, input, business_key="order-1", idempotency_key="k1")

    assert conflict.value.saga_id == first.saga_id
    assert Saga.objects.count() == 1


@pytest.mark.django_db
def test_the_same_key_still_counts_after_a_new_version() -> None:
    store(make_step("A"))
    first = start("test", {}, business_key="order-1", idempotency_key="k1")
    store(make_step("B"))

    second = start("test", {}, business_key="order-1", idempotency_key="k1", version=2)

    assert second.saga_id == first.saga_id


@pytest.mark.django_db
def test_a_bulk_start_tells_new_known_and_conflicting_ones_apart() -> None:
    """Edge case 15."""
    store(make_step("A"))
    known = start("test", {"n": 1}, business_key="order-1", idempotency_key="k1")

    outcomes = start_many(
        "test",
        [
            Start("order-0", {}),
            Start("order-1", {"n": 1}, "k1"),
            Start("order-1", {"n": 2}, "k1"),
            Start("order-2", {}, "k2"),
            Start("order-2", {}, "k2"),
        ],
    )

    assert [(item.created, item.conflict) for item in outcomes] == [
        (True, False),
        (False, False),
        (False, True),
        (True, False),
        (False, False),
    ]
    assert outcomes[1].saga_id == outcomes[2].saga_id == known.saga_id
    assert outcomes[3].saga_id == outcomes[4].saga_id
    assert Saga.objects.count() == 3


@pytest.mark.django_db
def test_a_thousand_starts_cost_as_many_queries_as_ten() -> None:
    store(make_step("A"))
    start("test", {}, business_key="warm")

    def count(number: int) -> int:
        with CaptureQueriesContext(connection) as queries:
            start_many("test", [Start(f"order-{n}", {}) for n in range(number)])
        return len(queries)

    assert count(1_000) == count(10)
    assert Saga.objects.count() == 1_011


@pytest.mark.django_db
def test_starting_nothing_does_nothing() -> None:
    store(make_step("A"))

    assert start_many("test", []) == []


@pytest.mark.django_db
def test_an_unknown_definition_or_version_is_named() -> None:
    store(make_step("A"))

    with pytest.raises(DefinitionNotFound, match="nowhere"):
        start("nowhere", {}, business_key="order-1")
    with pytest.raises(DefinitionNotFound, match="version 7"):
        start("test", {}, business_key="order-1", version=7)


@pytest.mark.django_db
def test_a_start_may_choose_an_older_version() -> None:
    """Edge case 25."""
    store(make_step("A"))
    store(make_step("B"))

    started = start("test", {}, business_key="order-1", version=1)

    assert Saga.objects.get(pk=started.saga_id).definition.version == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("input", "words"),
    [
        ({"text": "x" * 300_000}, "262,144 are allowed"),
        ({"text": "a\x00b"}, "NUL"),
        ({"text": "\ud800"}, "no JSON"),
        ({"amount": float("inf")}, "no JSON"),
        ({"set": {1}}, "no JSON"),
    ],
)
def test_an_input_that_cannot_be_kept_is_refused_early(input: Any, words: str) -> None:
    """Edge cases 17 and 36."""
    store(make_step("A"))

    with pytest.raises(InvalidInput, match=words):
        start_many("test", [Start("order-1", {}), Start("order-2", input)])

    assert not Saga.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00", "\ud800", 7])
def test_a_key_that_cannot_be_kept_is_refused(key: Any) -> None:
    store(make_step("A"))

    with pytest.raises(InvalidInput, match="business_key"):
        start("test", {}, business_key=key)
    with pytest.raises(InvalidInput, match="idempotency_key"):
        start("test", {}, business_key="order-1", idempotency_key=key)


@pytest.mark.django_db
def test_a_text_that_only_looks_like_a_nul_is_kept() -> None:
    store(make_step("A"))

    started = start("test", {"text": r"\u0000"}, business_key="order-1")

    assert SagaStart.objects.get(pk=started.saga_id).input == {"text": r"\u0000"}


@pytest.mark.django_db
def test_the_limit_of_an_input_is_a_setting(settings: Any) -> None:
    """Edge case 36."""
    settings.SAGAS_MAX_INPUT_BYTES = 10
    store(make_step("A"))

    start("test", "x" * 8, business_key="order-1")
    with pytest.raises(InvalidInput):
        start("test", "x" * 9, business_key="order-1")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("winner_commits", [True, False])
def test_the_same_start_twice_at_the_same_moment_is_one_saga(winner_commits: bool) -> None:
    """Edge case 16."""
    definition = store(make_step("A"))

    def start_again() -> Any:
        return start(definition.name, {}, business_key="order-1", idempotency_key="k1")

    with rival() as other:
        with transaction.atomic():
            first = start_again()
            second = other.begin(start_again)
            wait_until_blocked()
            if not winner_commits:
                transaction.set_rollback(True)
        loser = second.result(20)

    assert loser.created != winner_commits
    assert (loser.saga_id == first.saga_id) == winner_commits
    assert Saga.objects.get().pk == loser.saga_id


@pytest.mark.django_db(transaction=True)
def test_a_start_that_has_not_committed_is_not_driven(driver: Driver) -> None:
    """Edge case 10: commands leave only after the commit."""
    definition = store(make_step("A"))
    script = Script().register(definition)

    with rival() as other, transaction.atomic():
        saga = make_saga(definition)
        other.do(lambda: Driver().drive())
        assert script.calls == []
    driver.drive()

    saga.refresh_from_db()
    assert saga.status == "completed"
