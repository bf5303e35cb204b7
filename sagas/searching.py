"""Search attributes: what a definition declares of its input, kept beside it, and found by it.

An attribute is kept as text, numbers and truth values as JSON writes them (42, 12.5, true).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.db.models import BooleanField, Func, JSONField, QuerySet, Value

from outbox.paging import count_up_to
from sagas import catalogue
from sagas.core.definition import Definition
from sagas.core.expressions import ExpressionError, evaluate
from sagas.exceptions import InvalidSearch
from sagas.models import Definition as StoredDefinition
from sagas.models import Saga, SagaStart
from sagas.storable import clean_text, encode

Sagas = TypeVar("Sagas", bound=QuerySet[Saga])

LONGEST_VALUE = 200
FEW = 10_000

# customer:7 or city:"New York"; nothing else may stand beside them.
_TERM = re.compile(r'([A-Za-z0-9][A-Za-z0-9_.-]*):(?:"([^"]*)"|([^\s"]+))')


def attributes_of(definition: Definition, input: Any) -> str | None:
    """Return the search attributes of an input as JSON text, or None if it has none of them.

    What is no text, number or truth value is left out, and so is what is empty, longer than 200
    characters, or cannot be evaluated for this input: a search never stops a start.
    """
    document = {"input": input}
    found = {name: _value(expression, document) for name, expression in definition.search}
    kept = {name: value for name, value in found.items() if value}
    return encode(kept) if kept else None


def _value(expression: str, document: Any) -> str | None:
    try:
        value = evaluate(expression, document)
    except ExpressionError:
        return None
    if isinstance(value, bool | int | float):
        value = json.dumps(value)
    if not isinstance(value, str) or len(value) > LONGEST_VALUE or value != clean_text(value):
        return None
    return value


def declared_names() -> set[str]:
    """Return the names of the attributes that any stored definition declares."""
    ids = StoredDefinition.objects.filter(spec__has_key="search").values_list("pk", flat=True)
    definitions = catalogue.readable(set(ids)).values()
    return {name for definition in definitions for name, _ in definition.search}


def read_terms(words: str) -> dict[str, str]:
    """Return the attributes that search words name: `customer:7 city:"New York"`.

    Nothing if any of the words is none, or names what no definition declares: then they are the
    beginning of a business key.
    """
    terms = {name: quoted or plain for name, quoted, plain in _TERM.findall(words)}
    if not terms or _TERM.sub("", words).strip() or terms.keys() - declared_names():
        return {}
    return terms


def write_terms(terms: Mapping[str, str], *, without: str) -> str:
    """Return search words that name these attributes but one."""
    return " ".join(f'{name}:"{value}"' for name, value in terms.items() if name != without)


def read_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Return the attributes in texts like `customer=7`. Raises InvalidSearch."""
    wanted = dict(pair.partition("=")[::2] for pair in pairs)
    if unknown := sorted(wanted.keys() - declared_names()):
        raise InvalidSearch(f"No definition declares the search attribute {unknown[0]!r}.")
    return wanted


def narrow(sagas: Sagas, wanted: Mapping[str, str]) -> Sagas:
    """Narrow the sagas to those with these attributes.

    Few matches are looked up from the index. Many are found soon enough by going through the
    sagas from the newest on; the planner cannot tell which it will be.
    """
    if any(value != clean_text(value) for value in wanted.values()):
        return sagas.none()
    matching = SagaStart.objects.filter(search__contains=dict(wanted))
    if not count_up_to(matching, FEW).capped:
        return sagas.filter(pk__in=matching.values("pk")[:FEW])
    # The operator's function, which no index knows, so that nobody gathers all of them first.
    return sagas.filter(
        Func(
            "start__search",
            Value(dict(wanted), JSONField()),
            function="jsonb_contains",
            output_field=BooleanField(),
        )
    )
