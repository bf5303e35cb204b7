"""JMESPath expressions: what is refused when they are read, and what they give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sagas.core.expressions import ExpressionError, compile_expression, evaluate, is_true

DOCUMENT = {"input": {"items": [{"id": 1}, {"id": 2}]}, "outputs": {"Book It": {"seat": "4A"}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("input.items[1].id", 2),
        ('outputs."Book It".seat', "4A"),
        ("{ids: input.items[].id, n: length(input.items)}", {"ids": [1, 2], "n": 2}),
        ("sort_by(input.items, &id)[-1].id", 2),
        ("outputs.Other.seat || 'none'", "none"),
        ("input.nothing.there", None),
    ],
)
def test_an_expression_gives_a_value(text: str, value: Any) -> None:
    assert evaluate(text, DOCUMENT) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("input[", "ends too early"),
        ("input.", "ends too early"),
        ("input items", "'items' at column 7"),
        ("$.input", "column 1: Unknown token $"),
        ("lenght(input)", "calls lenght(), which there is not"),
        ("length(input, outputs)", "gives length() 2 arguments; it takes 1"),
        ("input.[merge()]", "gives merge() 0 arguments; it takes at least 1"),
        ("&input", "a & that is no argument"),
        ("[&input]", "a & that is no argument"),
        ("a" * 2_001, "more than 2,000 characters"),
        ("(" * 1_900, "goes too deep"),
    ],
)
def test_what_cannot_be_read_is_refused_before_it_is_evaluated(text: str, words: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        compile_expression(text)

    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("join(',', input)", "gives join() a value of type object; it takes array-string"),
        ("'a' < `1`", "cannot be evaluated: TypeError"),
        ("input.items[::0]", "cannot be evaluated: ValueError"),
    ],
)
def test_an_error_of_the_evaluation_names_the_expression_and_no_value(
    text: str, words: str
) -> None:
    with pytest.raises(ExpressionError) as refused:
        evaluate(text, DOCUMENT)

    assert words in str(refused.value)
    assert "items'" not in str(refused.value)


def test_a_document_that_is_too_deep_is_an_error_of_the_expression() -> None:
    document: list[Any] = []
    for _ in range(100_000):
        document = [document]

    with pytest.raises(ExpressionError, match="goes too deep"):
        evaluate("to_string(@)", document)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("input.order.id", {"input"}),
        ("{a: input.x, b: outputs.B.y}", {"input", "outputs"}),
        ("input.items[?price > `1`].name | [0]", {"input"}),
        ("contains(input.tags, outputs.A.tag) && !attempt", {"input", "outputs", "attempt"}),
        ("sort_by(input.items, &price)", {"input"}),
        ("`1`", set()),
    ],
)
def test_the_fields_that_an_expression_reads_are_known(text: str, fields: set[str]) -> None:
    assert compile_expression(text).fields == fields


@pytest.mark.parametrize("value", [0, 0.0, 1, True, "0", [0], {"a": None}])
def test_what_holds_something_is_true(value: Any) -> None:
    assert is_true(value)


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_what_is_empty_is_false(value: Any) -> None:
    assert not is_true(value)


def test_many_threads_may_compile_at_once() -> None:
    texts = [f"input.field_{number % 500}" for number in range(2_000)]

    with ThreadPoolExecutor(8) as threads:
        compiled = list(threads.map(compile_expression, texts))

    assert [expression.text for expression in compiled] == texts
