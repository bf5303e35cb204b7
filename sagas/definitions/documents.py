"""YAML read as nodes, which know their lines; nothing is ever constructed from a tag."""

from __future__ import annotations

import yaml
from yaml.composer import ComposerError
from yaml.events import AliasEvent
from yaml.nodes import Node, ScalarNode, SequenceNode

from sagas.definitions.exceptions import DefinitionError, Place
from sagas.definitions.wording import quoted

MOST_BYTES = 256 * 1024
# Five parallel groups within each other.
DEEPEST = 20

_TAG = "tag:yaml.org,2002:"
_SCALARS = ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")
_TAGS = {_TAG + name for name in (*_SCALARS, "seq", "map")}
_OTHER_KINDS = {
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "timestamp": "a date",
}


class _RefusedError(ComposerError):
    """Correct YAML that a definition has no use for."""


class _Loader(yaml.SafeLoader):
    """Composes nodes only; refuses aliases, which can unfold without end, and deep nesting."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        mark = self.mark_here()
        if self.check_event(AliasEvent):
            raise _RefusedError(
                problem="aliases are not allowed; write the value out", problem_mark=mark
            )
        if self.depth == DEEPEST:
            raise _RefusedError(problem="this is nested too deeply for a saga", problem_mark=mark)
        self.depth += 1
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        if node is not None and node.tag not in _TAGS:
            problem = f"the tag {quoted(node.tag)} is not allowed; remove it"
            raise _RefusedError(problem=problem, problem_mark=mark)
        return node

    def mark_here(self) -> yaml.Mark:
        """Return where the next event begins."""
        mark: yaml.Mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        return mark


def compose(text: str, *, file: str) -> Node:
    """Return the only document of a YAML text. Raises DefinitionError."""
    if len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        kib = MOST_BYTES // 1024
        raise DefinitionError.at(Place(file), f"is larger than {kib} KiB; a saga is far smaller")
    try:
        loader = _Loader(text)
        node = loader.get_node() if loader.check_node() else None
        if node is not None and loader.check_node():
            mark = loader.mark_here()
            place = Place(file, mark.line + 1, mark.column + 1)
            raise DefinitionError.at(
                place, "a second document begins here; put each saga into a file of its own"
            )
    except yaml.reader.ReaderError as error:
        place = Place(file, text.count("\n", 0, error.position) + 1)
        bad = quoted(text[error.position])
        raise DefinitionError.at(
            place, f"has the character {bad}, which YAML does not allow"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise DefinitionError.at(_place_of_error(file, error), _message_of(error)) from None
    except (ValueError, OverflowError) as error:
        # PyYAML lets an escape such as \UFFFFFFFF through to chr(), and long versions to int().
        raise DefinitionError.at(Place(file), f"is no YAML: {error}") from None
    if node is None or _is_empty(node):
        raise DefinitionError.at(Place(file), "is empty; a definition begins with the line saga:")
    return node


def _place_of_error(file: str, error: yaml.MarkedYAMLError) -> Place:
    mark = error.problem_mark or error.context_mark
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)


def _message_of(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, _RefusedError):
        return str(error.problem)
    message = ", ".join(part for part in (error.context, error.problem) if part)
    hint = "; indent with spaces, not with tabs" if r"'\t'" in message else ""
    return f"is no YAML: {message}{hint}"


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.tag == _TAG + "null"


def read_text(node: Node) -> str:
    """Return the text of a node. Raises ValueError for anything that YAML does not take as text."""
    text = read_scalar(node)
    kind = node.tag.removeprefix(_TAG)
    if kind != "str":
        what = _OTHER_KINDS.get(kind, "no text")
        raise ValueError(f"{quoted(text)} is {what} to YAML; put it in quotes")
    if not text.strip():
        raise ValueError("is empty; write something or remove the field")
    return text


def read_scalar(node: Node) -> str:
    """Return a single value as it was written. Raises ValueError for a list, a mapping, nothing."""
    if not isinstance(node, ScalarNode):
        what = "a list" if isinstance(node, SequenceNode) else "a mapping"
        raise ValueError(f"is {what}; write a single value, in quotes if it has a colon")
    if _is_empty(node):
        raise ValueError("is empty; write a value or remove the field")
    return str(node.value)
