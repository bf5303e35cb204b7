"""JMESPath expressions: read once, with the mistakes that the library finds only when it evaluates.

https://jmespath.org/specification.html; the built-in functions and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple, cast

from jmespath import exceptions as jmespath
from jmespath.functions import Functions
from jmespath.parser import ParsedResult, Parser

MAX_CHARS = 2_000

_FUNCTIONS = Functions.FUNCTION_TABLE
# The library throws entries out of its own cache, which threads must not do at once.
_parsing = threading.Lock()
# What comes after the first child of these reads what that child gave, not the document.
_NARROWING = frozenset(
    {
        "subexpression",
        "index_expression",
        "pipe",
        "projection",
        "value_projection",
        "filter_projection",
    }
)


class ExpressionError(ValueError):
    """The expression cannot be read, or not be evaluated on this document."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"The expression {text!r} {why}.")
        self.text = text
        self.why = why


class CompiledExpression(NamedTuple):
    text: str
    # The fields of the document itself that it reads: what it may misspell.
    fields: frozenset[str]
    parsed: ParsedResult

    def evaluate(self, document: Any) -> Any:
        """Return what it gives; what is not there is None. Raises ExpressionError."""
        try:
            return self.parsed.search(document)
        except RecursionError as error:
            raise ExpressionError(self.text, "goes too deep") from error
        except jmespath.JMESPathTypeError as error:
            # Not the library's words: they quote the value, which may be nobody's business.
            wanted = " or ".join(error.expected_types)
            given = f"gives {error.function_name}() a value of type {error.actual_type}"
            raise ExpressionError(self.text, f"{given}; it takes {wanted}") from None
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
            why = f"cannot be evaluated: {type(error).__name__}"
            raise ExpressionError(self.text, why) from error


@lru_cache(maxsize=4_096)
def compile_expression(text: str) -> CompiledExpression:
    """Return the expression, ready to be evaluated by any thread. Raises ExpressionError."""
    if not isinstance(text, str) or not text.strip():
        raise ExpressionError(text, "is empty")
    if len(text) > MAX_CHARS:
        raise ExpressionError(text[:50] + "…", f"has more than {MAX_CHARS:,} characters")
    try:
        with _parsing:
            parsed = Parser().parse(text)
        tree = cast(dict[str, Any], parsed.parsed)
        # As in a list, so that a & at its beginning is found, too.
        _check_functions(text, {"type": "expression", "children": [tree]})
        return CompiledExpression(text, frozenset(_fields_of(tree)), parsed)
    except RecursionError as error:
        raise ExpressionError(text[:50] + "…", "goes too deep") from error
    except jmespath.JMESPathError as error:
        raise ExpressionError(text, _why(error)) from error


def evaluate(text: str, document: Any) -> Any:
    """Return what an expression gives for a document. Raises ExpressionError."""
    return compile_expression(text).evaluate(document)


def is_true(value: Any) -> bool:
    """Say whether a value counts as true in JMESPath: 0 does, what is empty does not."""
    if value is None or value is False:
        return False
    return bool(value not in ("", [], {}))


def _why(error: jmespath.JMESPathError) -> str:
    is_at_end = isinstance(error, jmespath.ParseError) and error.token_type == "EOF"  # noqa: S105
    if is_at_end or isinstance(error, jmespath.IncompleteExpressionError):
        return "ends too early"
    if isinstance(error, jmespath.LexerError):
        return f"cannot be read at column {error.lexer_position + 1}: {error.message}"
    if isinstance(error, jmespath.ParseError):
        return f"has a {error.token_value!r} at column {error.lex_position + 1} that does not fit"
    return f"cannot be read: {error}"


def _check_functions(text: str, node: dict[str, Any]) -> None:
    """Refuse functions that there are not, a wrong number of arguments, and `&` elsewhere."""
    is_call = node["type"] == "function_expression"
    if is_call:
        _check_call(text, node)
    for child in _children(node):
        if child["type"] == "expref" and not is_call:
            raise ExpressionError(text, "has a & that is no argument of a function")
        _check_functions(text, child)


def _check_call(text: str, node: dict[str, Any]) -> None:
    name, given = node["value"], len(node["children"])
    if name not in _FUNCTIONS:
        known = ", ".join(sorted(_FUNCTIONS))
        raise ExpressionError(text, f"calls {name}(), which there is not; there are {known}")
    signature = _FUNCTIONS[name]["signature"]
    open_ended = bool(signature) and signature[-1].get("variadic")
    wanted = len(signature)
    if given < wanted or (given > wanted and not open_ended):
        least = "at least " if open_ended else ""
        raise ExpressionError(text, f"gives {name}() {given} arguments; it takes {least}{wanted}")


def _children(node: dict[str, Any]) -> list[dict[str, Any]]:
    # Those of a slice are numbers.
    return [child for child in node.get("children", ()) if isinstance(child, dict)]


def _fields_of(node: dict[str, Any]) -> Iterator[str]:
    """Give the names that an expression looks up in the document itself, not further down."""
    if node["type"] == "field":
        yield node["value"]
    if node["type"] == "expref":
        return
    children = _children(node)
    for child in children[:1] if node["type"] in _NARROWING else children:
        yield from _fields_of(child)
