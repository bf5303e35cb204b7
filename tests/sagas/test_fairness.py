"""Lanes take turns: a flood of one definition, tenant or priority does not hold up the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from sagas.core.definition import DEFAULT_UNDO_RETRY, Definition, StepType
from sagas.engine import statements
from sagas.engine.driver import Driver
from sagas.engine.lanes import FIRST_LANE, LAST_LANE, Priority, lane_of, priority_of, share_out
from sagas.engine.statements import DueRow, lock_due
from sagas.exceptions import IdempotencyConflict, InvalidInput
from sagas.models import Saga
from sagas.starting import Start, start, start_many
from tests.builders import Script, make_step, store
from tests.sagas.rivals import Rival, rival

FLOOD = 10_000
EXPLAIN = "EXPLAIN (COSTS OFF) "


@pytest.fixture(autouse=True)
def _begin_at_the_first_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "_turn", FIRST_LANE)


@pytest.fixture
def other() -> Iterator[Rival]:
    with rival() as other:
        yield other


def begin(definition: Definition, count: int, **details: Any) -> None:
    start_many(
        definition.name,
        [Start(f"{definition.name}-{number}", {}, **details) for number in range(count)],
    )


def keys_of(rows: Iterable[DueRow]) -> Counter[str]:
    """Count the rows by what their business keys begin with."""
    return Counter(row.business_key.rpartition("-")[0] for row in rows)


def test_room_is_shared_by_priority_and_used_up() -> None:
    high, normal, low = (lane_of(1, "", priority) for priority in reversed(Priority))

    assert share_out([high, normal, low], 210) == {high: 160, normal: 40, low: 10}
    assert share_out([normal], 200) == {normal: 200}
    assert sum(share_out([high, normal, low], 200).values()) == 200


def test_when_room_is_short_the_last_lanes_get_none() -> None:
    lanes = [lane_of(number, "", Priority.NORMAL) for number in range(10)]

    assert list(share_out(lanes, 4)) == lanes[:4]


def test_definitions_never_share_a_lane_and_a_lane_tells_its_priority() -> None:
    lanes = [
        lane_of(definition_id, tenant, priority)
        for definition_id in range(1, 50)
        for tenant in ("", "acme")
        for priority in Priority
    ]

    assert len(set(lanes)) == len(lanes)
    assert [priority_of(lane) for lane in lanes] == [*Priority] * 98
    assert FIRST_LANE <= lane_of(2**31 - 1, "x" * 200, Priority.LOW) <= LAST_LANE


@pytest.mark.django_db
def test_a_claim_beside_a_flood_takes_all_of_a_small_definition() -> None:
    begin(store(make_step("A"), name="flood"), FLOOD)
    begin(store(make_step("A"), name="small"), 3)

    rows = lock_due(200)

    assert keys_of(rows) == {"flood": 197, "small": 3}
    assert len({row.id for row in rows}) == 200


@pytest.mark.django_db
def test_a_flood_that_has_begun_does_not_hold_up_what_is_new() -> None:
    begin(store(make_step("A"), name="flood"), 1_000)
    Saga.objects.update(begun=True)
    begin(store(make_step("A"), name="small"), 3)

    assert keys_of(lock_due(200))["small"] == 3


@pytest.mark.django_db
def test_in_a_lane_what_has_begun_comes_before_what_is_new() -> None:
    begin(store(make_step("A"), name="flood"), 300)
    retried = Saga.objects.get(business_key="flood-299")
    Saga.objects.filter(pk=retried.pk).update(begun=True)

    assert lock_due(10)[0].id == retried.pk


@pytest.mark.django_db
def test_a_tenant_is_not_held_up_by_the_flood_of_another() -> None:
    definition = store(make_step("A"), name="flood")
    begin(definition, 1_000, tenant="acme")
    start("flood", {}, business_key="small-1", tenant="globex")

    assert keys_of(lock_due(200))["small"] == 1


@pytest.mark.django_db
def test_an_urgent_saga_passes_the_flood_of_its_own_definition() -> None:
    begin(store(make_step("A"), name="flood"), 1_000)
    start("flood", {}, business_key="urgent-1", priority=Priority.HIGH)

    assert keys_of(lock_due(2))["urgent"] == 1


@pytest.mark.django_db
def test_a_flood_of_urgent_sagas_leaves_something_for_the_others() -> None:
    definition = store(make_step("A"), name="flood")
    begin(definition, 1_000, priority=Priority.HIGH)
    start_many("flood", [Start(f"low-{n}", {}, priority=Priority.LOW) for n in range(100)])

    assert keys_of(lock_due(200)) == {"flood": 189, "low": 11}


@pytest.mark.django_db
def test_a_definition_declares_the_priority_of_its_sagas() -> None:
    store(make_step("A"), name="urgent", priority=1)
    store(make_step("A"), name="leisurely", priority=-7)

    urgent = start("urgent", {}, business_key="1")
    leisurely = start("leisurely", {}, business_key="2")
    chosen = start("leisurely", {}, business_key="3", priority=Priority.NORMAL)

    priorities = {saga.pk: saga.priority for saga in Saga.objects.all()}
    assert priorities == {
        urgent.saga_id: "high",
        leisurely.saga_id: "low",
        chosen.saga_id: "normal",
    }


@pytest.mark.django_db
def test_the_saga_of_a_step_goes_with_its_parent(driver: Driver) -> None:
    store(make_step("A"), name="child", priority=-1)
    step = make_step(
        "A", type=StepType.SAGA, participant="child", action="start", compensation="compensate"
    )
    store(step._replace(undo_retry=DEFAULT_UNDO_RETRY), name="parent")
    start("parent", {}, business_key="1", tenant="acme", priority=Priority.HIGH)

    driver.drive()

    saga = Saga.objects.get(definition__name="child")
    assert (saga.start.tenant, saga.priority) == ("acme", "high")


@pytest.mark.django_db
def test_every_lane_has_its_turn_when_a_batch_is_smaller_than_their_number() -> None:
    lanes = [store(make_step("A"), name=f"lane{number}") for number in range(7)]
    for definition in lanes:
        begin(definition, 4)
    seen: set[int] = set()

    for _ in range(3):
        rows = lock_due(3)
        assert len(rows) == 3
        seen |= {row.definition_id for row in rows}

    assert len(seen) == len(lanes)


@pytest.mark.django_db
def test_a_claim_that_is_not_full_has_taken_everything() -> None:
    for number in range(7):
        begin(store(make_step("A"), name=f"lane{number}"), number)
    statements._turn = Saga.objects.order_by("lane").values_list("lane", flat=True)[10]

    assert len(lock_due(50)) == 21


@pytest.mark.django_db
def test_a_lane_where_everything_is_leased_takes_no_room() -> None:
    begin(store(make_step("A"), name="leased"), 10)
    Saga.objects.update(begun=True, due_at="2100-01-01T00:00Z")
    begin(store(make_step("A"), name="small"), 10)

    assert keys_of(lock_due(10)) == {"small": 10}


@pytest.mark.django_db(transaction=True)
def test_two_workers_share_a_flood_and_both_look_after_the_others(other: Rival) -> None:
    begin(store(make_step("A"), name="flood"), 1_000)
    begin(store(make_step("A"), name="small"), 3)

    with transaction.atomic():
        mine = lock_due(200)
        theirs = other.do(lambda: lock_in_a_transaction(200))

    assert keys_of(mine) == {"flood": 197, "small": 3}
    assert keys_of(theirs) == {"flood": 200}
    assert not {row.id for row in mine} & {row.id for row in theirs}


def lock_in_a_transaction(limit: int) -> list[DueRow]:
    with transaction.atomic():
        return lock_due(limit)


@pytest.mark.django_db(transaction=True)
def test_lanes_that_somebody_has_locked_do_not_hide_those_behind_them(other: Rival) -> None:
    for number in range(6):
        begin(store(make_step("A"), name=f"lane{number}"), 1)

    with transaction.atomic():
        mine = lock_due(3)
        statements._turn = FIRST_LANE
        theirs = other.do(lambda: lock_in_a_transaction(3))

    assert len({row.id for row in mine + theirs}) == 6


@pytest.mark.django_db(transaction=True)
def test_a_small_definition_ends_within_the_first_batch_of_a_driver() -> None:
    flood, small = store(make_step("A"), name="flood"), store(make_step("A"), name="small")
    script = Script().register(flood)
    begin(flood, 300)
    begin(small, 1)
    driver = Driver(batch_size=50, concurrency=4)

    driver.drive()
    driver.close()

    small_ids = set(Saga.objects.filter(definition__name="small").values_list("pk", flat=True))
    places = [n for n, call in enumerate(script.calls) if call.saga_id in small_ids]
    assert len(script.calls) == 301
    assert places[0] < 50


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 1_000])
def test_a_claim_walks_along_indexes_whatever_the_statistics_say(count: int) -> None:
    if count:
        begin(store(make_step("A"), name="flood"), count)
        connection.cursor().execute("ANALYZE sagas_saga, sagas_sagastart")
    plans = {
        "lanes": plan(statements.DUE_LANES, first=FIRST_LANE, last=LAST_LANE, limit=200),
        "claim": plan(statements.LOCK_DUE, lanes=[256], shares=[200], known=[], limit=200),
    }

    for text in plans.values():
        assert text.count("using sagas_saga_due on sagas_saga") == 2
        assert "Seq Scan" not in text
        assert "Sort" not in text
        assert "Bitmap" not in text
    assert "(lane = turn.lane) AND (begun = false) AND (due_at <=" in plans["claim"]
    assert "using sagas_sagastart_pkey" in plans["claim"]


def plan(statement: str, **values: Any) -> str:
    """Return the plan that a driver's connection makes, without a look at the values."""
    statements.tune_for_driving()
    with statements.raw_cursor() as cursor:
        cursor.execute(EXPLAIN + statement, values)
        return "\n".join(row[0] for row in cursor.fetchall())


@pytest.mark.django_db
@pytest.mark.parametrize("tenant", ["x" * 201, "a\x00", 7])
def test_a_tenant_that_cannot_be_kept_is_refused(tenant: Any) -> None:
    store(make_step("A"))

    with pytest.raises(InvalidInput, match="tenant"):
        start("test", {}, business_key="order-1", tenant=tenant)


@pytest.mark.django_db
def test_the_same_key_for_another_tenant_is_a_conflict() -> None:
    store(make_step("A"))
    first = start("test", {}, business_key="1", idempotency_key="k1", tenant="acme")

    again = start("test", {}, business_key="1", idempotency_key="k1", tenant="acme")
    with pytest.raises(IdempotencyConflict):
        start("test", {}, business_key="1", idempotency_key="k1", tenant="globex")

    assert again.saga_id == first.saga_id
    assert Saga.objects.get().start.tenant == "acme"


@pytest.mark.django_db
def test_only_the_claim_and_the_end_change_an_index(driver: Driver) -> None:
    definition = store(*(make_step(name) for name in "ABCDE"))
    Script().register(definition)
    start("test", {}, business_key="1", tenant="acme", priority=Priority.HIGH)
    updates, others = count_updates()

    driver.drive()

    assert Saga.objects.get().status == "completed"
    assert count_updates() == (updates + 5, others + 2)


def count_updates() -> tuple[int, int]:
    """Count this connection's updates of sagas, and those of them that were not heap-only."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_upd, n_tup_upd - n_tup_hot_upd FROM pg_stat_xact_user_tables"
            " WHERE relname = 'sagas_saga'"
        )
        row: tuple[int, int] = cursor.fetchone()
        return row
