"""Texts with expressions in braces: `/v1/charges/{input.charge_id}/refunds`.

What an expression gives stands on one line and is a text, a number, true or false.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from django.conf import settings

from sagas.core.expressions import CompiledExpression, ExpressionError, compile_expression
from sagas.definitions.wording import quoted, suggestion
from sagas.participants.secrets import Holder, check_use, problem_of

_PLACES = re.compile(r"\$\{env:(?P<secret>[^{}]*)\}|\{(?P<expression>[^{}]*)\}")


class MappingFailed(ValueError):
    """A request cannot be made from this call; the text says which expression failed, and where."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(f"{place}: {why.rstrip('.')}." if place else why)
        self.place = place


class Secret(NamedTuple):
    """The name of a variable of the environment."""

    name: str


class Template(NamedTuple):
    text: str
    parts: tuple[str | CompiledExpression | Secret, ...]

    @property
    def secrets(self) -> frozenset[str]:
        return frozenset(part.name for part in self.parts if isinstance(part, Secret))

    @property
    def is_fixed(self) -> bool:
        return all(isinstance(part, str) for part in self.parts)

    def render(self, document: Any, encode: Callable[[str], str] = str) -> str:
        """Return the text. `encode` is given what each expression gives. Raises MappingFailed."""
        return "".join(
            part if isinstance(part, str) else self._render(part, document, encode)
            for part in self.parts
        )

    def _render(
        self, part: CompiledExpression | Secret, document: Any, encode: Callable[[str], str]
    ) -> str:
        if isinstance(part, CompiledExpression):
            return encode(line_of(part, document))
        if problem := problem_of(part.name):
            raise MappingFailed(problem)
        secret: str = settings.SAGAS_SECRETS[part.name]
        return secret


def read_expression(text: Any, known: frozenset[str]) -> CompiledExpression:
    """Return an expression over a document with these fields. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError(f"must be an expression in quotes, not {json.dumps(text)[:60]}")
    expression = compile_expression(text)
    for name in sorted(expression.fields - known):
        raise ExpressionError(
            text, f"reads {name!r}, which there is not; {suggestion(name, known)}"
        )
    return expression


def read_template(text: Any, known: frozenset[str], *, holder: Holder | None = None) -> Template:
    """Return a template over a document with these fields. Raises ValueError.

    It may name secrets that the holder may use; without a holder, none.
    """
    if not isinstance(text, str):
        raise ValueError(f"must be a text, not {json.dumps(text)[:60]}")
    parts: list[str | CompiledExpression | Secret] = []
    end = 0
    for place in _PLACES.finditer(text):
        parts.append(_fixed(text[end : place.start()]))
        end = place.end()
        if (name := place["secret"]) is None:
            parts.append(read_expression(place["expression"], known))
            continue
        if holder is None:
            raise ValueError("has a secret; secrets are for headers only")
        check_use(name, holder)
        parts.append(Secret(name))
    parts.append(_fixed(text[end:]))
    return Template(text, tuple(part for part in parts if part))


def _fixed(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError(
            "has a brace that does not pair; an expression in {} has no braces of its own"
        )
    if not text.isprintable():
        raise ValueError(f"holds what is not printable: {quoted(text)}")
    return text


def line_of(expression: CompiledExpression, document: Any) -> str:
    """Return what an expression gives as one line of text. Raises MappingFailed."""
    text = scalar(expression.text, expression.evaluate(document))
    if not text:
        raise MappingFailed(f"the expression {expression.text!r} gives nothing")
    if not text.isprintable():
        why = "gives a text over several lines, or with what is not printable"
        raise MappingFailed(f"the expression {expression.text!r} {why}")
    return text


def scalar(source: str, value: Any) -> str:
    """Return a text, number, true or false as it is written. Raises MappingFailed."""
    if isinstance(value, str):
        return value
    if value is None:
        raise MappingFailed(f"the expression {source!r} gives nothing")
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    kind = "a list" if isinstance(value, list) else "an object"
    why = f"gives {kind}; it takes a text, a number, true or false"
    raise MappingFailed(f"the expression {source!r} {why}")
