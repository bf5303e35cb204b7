"""What runs one after the other in a YAML file, and what side by side."""

from __future__ import annotations

from typing import NamedTuple

from yaml.nodes import MappingNode, Node, SequenceNode

from sagas.definitions.exceptions import Place
from sagas.definitions.flows import TOO_FEW_BRANCHES, Flow, Group
from sagas.definitions.reports import Report
from sagas.definitions.sections import place_of

PARALLEL = "parallel"


class Entry(NamedTuple):
    """A step as it stands in the file."""

    node: Node
    place: Place
    in_group: bool


def read_flow(report: Report, node: Node, field: str, *, in_group: bool = False) -> Flow[Entry]:
    """Return steps and groups; what is no list is reported."""
    if not isinstance(node, SequenceNode):
        place = report.locate(("steps",)) if not in_group else place_of(report, node, field)
        report.add(place, "must be a list; begin each entry with a dash")
        report.unread.add(("steps",))
        return []
    return [
        _read_item(report, item, f"{field}[{index}]", in_group=in_group)
        for index, item in enumerate(node.value)
    ]


def _read_item(report: Report, node: Node, field: str, *, in_group: bool) -> Entry | Group[Entry]:
    if isinstance(node, MappingNode):
        named = [key.value for key, _ in node.value]
        if PARALLEL in named:
            if len(node.value) > 1:
                message = "has fields beside parallel; write them at the steps of the group"
                report.add(place_of(report, node, field), message)
            branches = node.value[named.index(PARALLEL)][1]
            return _read_group(report, branches, f"{field}.{PARALLEL}")
    return Entry(node, place_of(report, node, field), in_group)


def _read_group(report: Report, node: Node, field: str) -> Group[Entry]:
    items = node.value if isinstance(node, SequenceNode) else []
    if len(items) < 2:
        report.add(place_of(report, node, field), TOO_FEW_BRANCHES)
        report.unread.add(("steps", "after") if items else ("steps",))
    branches = [_read_branch(report, item, f"{field}[{i}]") for i, item in enumerate(items)]
    return Group(tuple(branches))


def _read_branch(report: Report, node: Node, field: str) -> Flow[Entry]:
    if not isinstance(node, SequenceNode):
        return [_read_item(report, node, field, in_group=True)]
    if not node.value:
        report.add(place_of(report, node, field), "is empty; write a step, or remove it")
    return read_flow(report, node, field, in_group=True)
