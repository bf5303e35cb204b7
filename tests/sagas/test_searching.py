"""Search attributes: kept at the start, found by an index, and free for those without any."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sagas.core.definition import Definition
from sagas.exceptions import InvalidSearch
from sagas.models import Saga, SagaStart
from sagas.retention.retaining import retain
from sagas.searching import narrow, read_pairs, read_terms
from sagas.starting import Start, start, start_many
from tests.builders import store
from tests.sagas.ageing import make_ended
from tests.sagas.test_command import run

pytestmark = pytest.mark.django_db

ORDER = (("orderId", "input.orderId"), ("city", "input.to.city"))


def declare(search: tuple[tuple[str, str], ...] = ORDER) -> Definition:
    return store(name="order", search=search)


def kept(input: Any) -> Any:
    started = start("order", input, business_key="o")
    return SagaStart.objects.get(pk=started.saga_id).search


def keys(wanted: dict[str, str]) -> list[str]:
    found = narrow(Saga.objects.all(), wanted).order_by("business_key")
    return list(found.values_list("business_key", flat=True))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("A-1", "A-1"),
        (42, "42"),
        (12.5, "12.5"),
        (0, "0"),
        (True, "true"),
        (False, "false"),
        ("서울", "서울"),
        ("x" * 200, "x" * 200),
    ],
)
def test_texts_numbers_and_truth_values_are_kept_as_text(value: Any, text: str) -> None:
    declare()

    assert kept({"orderId": value}) == {"orderId": text}


@pytest.mark.parametrize("value", [None, "", [], [1], {"a": 1}, "x" * 201])
def test_anything_else_is_left_out_and_stops_no_start(value: Any) -> None:
    declare()

    assert kept({"orderId": value, "to": {"city": "Ulm"}}) == {"city": "Ulm"}
    assert kept({"orderId": value}) is None


@pytest.mark.parametrize("input", [None, "text", 1, [1, 2], {}])
def test_an_input_of_another_shape_has_no_attributes(input: Any) -> None:
    declare()

    assert kept(input) is None


def test_an_expression_that_fails_for_this_input_is_left_out() -> None:
    declare((("total", "sum(input.prices)"), ("first", 'input.names[0] || `"\\u0000"`')))

    assert kept({"prices": [1, 2]}) == {"total": "3"}
    assert kept({"prices": ["one"], "names": ["Ann"]}) == {"first": "Ann"}


def test_a_definition_without_attributes_keeps_none() -> None:
    store(name="order")

    assert kept({"orderId": 42}) is None


def test_every_saga_of_a_batch_has_its_own() -> None:
    declare()
    inputs = [{"orderId": 1}, {}, {"orderId": 3}]

    start_many("order", [Start(f"o-{n}", input) for n, input in enumerate(inputs)])
    start_many("order", [Start("o-9", {"orderId": 1}, "k1"), Start("o-9", {"orderId": 1}, "k1")])

    assert keys({"orderId": "1"}) == ["o-0", "o-9"]
    assert keys({"orderId": "3"}) == ["o-2"]


def test_all_attributes_have_to_match() -> None:
    declare()
    for number, city in enumerate(("Ulm", "Bonn")):
        start("order", {"orderId": 1, "to": {"city": city}}, business_key=f"o-{number}")

    assert keys({"orderId": "1"}) == ["o-0", "o-1"]
    assert keys({"orderId": "1", "city": "Bonn"}) == ["o-1"]
    assert keys({"orderId": "2", "city": "Bonn"}) == []
    assert keys({"orderId": "1\x00"}) == []


def test_many_matches_give_the_same_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    declare((("1", "input.a"), ("a__b.c", "input.b")))
    for number in range(4):
        start("order", {"a": number % 2, "b": "x"}, business_key=f"o-{number}")
    monkeypatch.setattr("sagas.searching.FEW", 1)

    assert keys({"1": "1"}) == ["o-1", "o-3"]
    assert keys({"a__b.c": "x", "1": "0"}) == ["o-0", "o-2"]


@pytest.mark.parametrize(
    ("words", "terms"),
    [
        ("orderId:42", {"orderId": "42"}),
        ('city:"New York" orderId:7', {"city": "New York", "orderId": "7"}),
        ("orderId:42 and more", {}),
        ("other:42", {}),
        ("orderId:", {}),
        ("ORD-7", {}),
    ],
)
def test_search_words_are_attributes_only_if_all_of_them_are(
    words: str, terms: dict[str, str]
) -> None:
    declare()

    assert read_terms(words) == terms


def test_an_attribute_that_nobody_declares_is_refused() -> None:
    declare()

    with pytest.raises(InvalidSearch, match="'customer'"):
        read_pairs(["orderId=1", "customer=2"])


def test_the_command_lists_by_attributes() -> None:
    declare()
    for number in (41, 42):
        start("order", {"orderId": number}, business_key=f"o-{number}")

    told = run("list", "--search", "orderId=42")

    assert "o-42" in told
    assert "o-41" not in told


def test_an_archived_saga_is_found_by_its_attributes_no_more() -> None:
    saga = make_ended(idempotency_key="k1")
    SagaStart.objects.filter(pk=saga.pk).update(search={"orderId": "1"})

    retain()

    assert SagaStart.objects.get(pk=saga.pk).search is None
    assert keys({"orderId": "1"}) == []


def test_few_and_many_matches_among_many_sagas_are_found_by_an_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sagas.searching.FEW", 1_000)
    make_many(5_000)

    few, many = plan_of({"n": "77"}), plan_of({"kind": "even"})

    assert "Bitmap Index Scan on sagas_sagastart_search" in few
    assert "Index Scan Backward using sagas_saga_pkey" in many
    assert "Seq Scan" not in few + many
    assert "Sort" not in many


def make_many(count: int) -> None:
    declare((("n", "input.n"), ("kind", "input.kind")))
    inputs = ({"n": n, "kind": "odd" if n % 2 else "even"} for n in range(count))
    start_many("order", [Start("o", input) for input in inputs])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sagas_saga")
        cursor.execute("ANALYZE sagas_sagastart")


def plan_of(wanted: dict[str, str]) -> str:
    """Return the plan of a page of the list, whichever way it is looked up."""
    return str(narrow(Saga.objects.all(), wanted).order_by("-pk")[:51].explain())


def test_a_search_costs_two_queries() -> None:
    declare()
    start("order", {"orderId": 1}, business_key="o")

    with CaptureQueriesContext(connection) as queries:
        list(narrow(Saga.objects.all(), {"orderId": "1"}))

    assert len(queries) == 2
