"""The expressions of a definition: can they be read, and is what they read there by then?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from sagas.core.definition import Definition, Mapping, Step
from sagas.core.expressions import ExpressionError, compile_expression
from sagas.definitions.exceptions import Fault, Path
from sagas.definitions.ordering import ancestors
from sagas.definitions.wording import listed, quoted, suggestion

ABOUT_SAGA = ("id", "business_key")

# What stands in braces in the name of a lock.
_IN_BRACES = re.compile(r"\{([^{}]*)\}")
# What comes after the first child of these reads what that child gave, not the document.
_NARROWING = frozenset(
    {"pipe", "index_expression", "projection", "value_projection", "filter_projection"}
)


class Scope(NamedTuple):
    """What an expression may read: all steps there are, and those that are done by then."""

    roots: tuple[str, ...]
    steps: tuple[str, ...] = ()
    done: frozenset[str] = frozenset()


FROM_START = Scope(("input", "saga"))


def check_expressions(definition: Definition) -> Iterator[Fault]:
    """Report expressions that cannot be read, or that read what cannot be there yet."""
    names = tuple(step.name for step in definition.steps)
    for name, expression in definition.search:
        yield from _check(("search", name), expression, Scope(("input",)))
    for place, lock in enumerate(definition.locks):
        yield from _check_lock(("locks", place), lock, FROM_START)
    for index, before in enumerate(ancestors(definition.steps)):
        done = frozenset(names[place] for place in before)
        scope = Scope(("input", "outputs", "saga"), names, done)
        yield from _check_step(("steps", index), definition.steps[index], scope)


def _check_step(path: Path, step: Step, scope: Scope) -> Iterator[Fault]:
    for attribute, expression in (("when", step.when), ("until", step.until)):
        if expression:
            yield from _check((*path, attribute), expression, scope)
    for place, expression in _expressions((*path, "input"), step.input):
        yield from _check(place, expression, scope)
    # What is kept of an answer is read from the answer, which has any fields.
    for place, expression in _expressions((*path, "output"), step.output):
        yield from _check(place, expression, None)
    for number, lock in enumerate(step.locks):
        yield from _check_lock((*path, "locks", number), lock, scope)


def _expressions(path: Path, mapping: Mapping | None) -> Iterator[tuple[Path, str]]:
    if isinstance(mapping, str):
        yield path, mapping
    elif mapping is not None:
        yield from (((*path, field), expression) for field, expression in mapping.items())


def _check_lock(path: Path, lock: str, scope: Scope) -> Iterator[Fault]:
    for match in _IN_BRACES.finditer(lock):
        yield from _check(path, match[1], scope)
    if re.search(r"[{}]", _IN_BRACES.sub("", lock)):
        yield path, f"{quoted(lock)} has a brace without its partner; write order:{{input.orderId}}"


def _check(path: Path, expression: str, scope: Scope | None) -> Iterator[Fault]:
    try:
        parsed: Any = compile_expression(expression).parsed.parsed
    except ExpressionError as error:
        yield path, f"{quoted(expression)} is no expression: it {error.why}"
        return
    for looked_up in dict.fromkeys(_lookups(parsed)) if scope else ():
        if message := _wrong_with(looked_up, scope):
            yield path, f"{quoted(expression)} reads {message}"


def _lookups(node: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the fields of the document that an expression reads, each as the way to it."""
    children = [child for child in node.get("children", ()) if isinstance(child, dict)]
    if node["type"] == "field":
        yield (node["value"],)
    elif node["type"] == "subexpression":
        yield from _way(children)
    elif node["type"] != "expref":
        for child in children[:1] if node["type"] in _NARROWING else children:
            yield from _lookups(child)


def _way(children: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    fields = 0
    while fields < len(children) and children[fields]["type"] == "field":
        fields += 1
    way = tuple(child["value"] for child in children[:fields])
    further = list(_lookups(children[fields])) if fields < len(children) else []
    if not way:
        yield from further
    elif further and children[fields]["type"].startswith("multi_select"):
        yield from (way + more for more in further)
    else:
        yield way


def _wrong_with(way: tuple[str, ...], scope: Scope | None) -> str:
    """Return what is wrong with reading this field, or nothing."""
    if scope is None:
        return ""
    root, field = way[0], way[1] if len(way) > 1 else None
    if root not in scope.roots:
        if root in ("outputs", "saga"):
            return f"{root}, which is not there; only {listed(scope.roots)} can be read here"
        return f"{quoted(root)}, which is not there; {suggestion(root, scope.roots)}"
    if root == "saga" and field is not None and field not in ABOUT_SAGA:
        return f"{quoted(f'saga.{field}')}, which is not there; {suggestion(field, ABOUT_SAGA)}"
    if root == "outputs" and field is not None:
        return _wrong_with_step(field, scope.steps, scope.done)
    return ""


def _wrong_with_step(name: str, steps: Collection[str], done: Collection[str]) -> str:
    if name not in steps:
        return f"the output of {quoted(name)}, which is no step; {suggestion(name, steps)}"
    if name not in done:
        return (
            f"the output of {quoted(name)}, which is not done before this step; "
            "let it come before, or read another"
        )
    return ""
