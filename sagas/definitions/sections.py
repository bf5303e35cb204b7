"""The mappings of a YAML file: which fields they have, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from yaml.nodes import MappingNode, Node, SequenceNode

from sagas.definitions.documents import read_scalar, read_text
from sagas.definitions.exceptions import Path, Place
from sagas.definitions.reports import Report
from sagas.definitions.wording import shown, suggestion

T = TypeVar("T")


def place_of(report: Report, node: Node, field: str) -> Place:
    """Return where a node begins."""
    mark = node.start_mark
    return Place(report.file, mark.line + 1, mark.column + 1, field)


class Section:
    """One mapping of the file: reads its fields, and reports those it does not know.

    `names` gives for each field of the file the attribute of the value that it becomes;
    `foreign` what is wrong with fields that only other mappings of the kind have.
    """

    def __init__(
        self,
        report: Report,
        node: Node,
        path: Path,
        names: Mapping[str, str],
        foreign: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.report = report
        self.path = path
        self.names = names
        self.foreign = foreign
        self.place = report.locate(path)
        self.nodes: dict[str, Node] = {}
        for name, attribute in names.items():
            report.places[(*path, attribute)] = self.place._replace(field=self._field(name))
        if isinstance(node, MappingNode):
            for key, value in node.value:
                self._take(key, value)
        else:
            self._give_up(f"must be a mapping with the fields {', '.join(names)}")

    def _field(self, name: str) -> str:
        return f"{self.place.field}.{name}" if self.place.field else name

    def _take(self, key: Node, value: Node) -> None:
        place = place_of(self.report, key, self.place.field)
        try:
            name = read_text(key)
        except ValueError as error:
            self.report.add(place, f"has a field whose name {error}")
            return
        place = place._replace(field=self._field(shown(name)))
        if name in self.nodes:
            first = self.report.places[self.path_of(name)].line
            self.report.add(place, f"is given twice, first in line {first}; remove one")
        elif name not in self.names:
            wrong = self.foreign.get(name) or f"is no field; {suggestion(name, self.names)}"
            self.report.add(place, wrong)
        else:
            self.nodes[name] = value
            # The value's column, unless it begins on a line of its own: then the key's place.
            if value.start_mark.line + 1 == place.line:
                place = place._replace(column=value.start_mark.column + 1)
            self.report.places[self.path_of(name)] = place

    def _give_up(self, message: str) -> None:
        self.report.fail(self.path, message)
        self.report.unread.update((*self.path, attribute) for attribute in self.names.values())

    def path_of(self, name: str) -> Path:
        """Return the path of the attribute that the field becomes."""
        return (*self.path, self.names[name])

    def require(self, *names: str) -> None:
        """Report those of the fields that are missing, unless the whole mapping is."""
        for name in names:
            if name not in self.nodes and self.path_of(name) not in self.report.unread:
                self.report.fail(self.path_of(name), "is missing; add it")

    def text(self, name: str, default: str = "") -> str:
        """Return the text of a field."""
        return self._read(name, read_text, default)

    def value(self, name: str, convert: Callable[[str], T], default: T) -> T:
        """Return what a field's value stands for, whatever type YAML takes it for."""
        return self._read(name, lambda node: convert(read_scalar(node)), default)

    def _read(self, name: str, convert: Callable[[Node], T], default: T) -> T:
        if name not in self.nodes:
            return default
        return self.report.read(self.path_of(name), convert, self.nodes[name], default)

    def items(self, name: str) -> list[tuple[Path, Node]]:
        """Return the entries of a list, each with its path."""
        node = self.nodes.get(name)
        path = self.path_of(name)
        if node is None:
            return []
        if not isinstance(node, SequenceNode):
            self.report.fail(path, "must be a list; begin each entry with a dash")
            return []
        for index, item in enumerate(node.value):
            field = f"{self._field(name)}[{index}]"
            self.report.places[(*path, index)] = place_of(self.report, item, field)
        return [((*path, index), item) for index, item in enumerate(node.value)]

    def texts(self, name: str) -> list[tuple[Path, str]]:
        """Return the entries of a list of texts, each with its path; empty where unreadable."""
        read = self.report.read
        return [(path, read(path, read_text, node, "")) for path, node in self.items(name)]

    def text_or_mapping(self, name: str) -> str | dict[str, str] | None:
        """Return a text, or the texts of a mapping by its own fields; None where nothing is."""
        if isinstance(self.nodes.get(name), MappingNode):
            return self.mapping(name)
        return self.text(name) or None

    def mapping(self, name: str) -> dict[str, str]:
        """Return the texts of a mapping whose fields are the author's."""
        node = self.nodes.get(name)
        if node is None:
            return {}
        if not isinstance(node, MappingNode) or not node.value:
            self.report.fail(self.path_of(name), "must be a mapping of at least one field")
            return {}
        texts: dict[str, str] = {}
        for key, value in node.value:
            place = place_of(self.report, key, self._field(name))
            try:
                field = read_text(key)
            except ValueError as error:
                self.report.add(place, f"has a field whose name {error}")
                continue
            path = (*self.path_of(name), field)
            self.report.places[path] = place._replace(field=f"{place.field}.{shown(field)}")
            if field in texts:
                self.report.fail(path, "is given twice; remove one")
            texts[field] = self.report.read(path, read_text, value, "")
        return texts
