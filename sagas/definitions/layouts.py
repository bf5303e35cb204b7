"""Where the steps of a drawing stand: in rows by what comes before, with few crossings.

The method is Sugiyama's: rows by the longest way from the start, a bend where a line passes a
row, rows sorted by the mean place of their neighbours, and then moved towards them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

SORTING_SWEEPS, PLACING_SWEEPS = 8, 60


class Edge(NamedTuple):
    """A line from one step to a later one, by way of the bends in the rows between them."""

    source: int
    target: int
    bends: tuple[int, ...]


@dataclass
class Layout:
    """Rows of nodes, and where the middle of each one is.

    The first nodes are the steps, by place; the start and the end follow, then the bends.
    """

    rows: list[list[int]]
    edges: list[Edge]
    centres: list[float] = field(default_factory=list)


def lay_out(before: Sequence[Sequence[int]], widths: tuple[float, float], gap: float) -> Layout:
    """Return the layout of a graph; `widths` are those of a step and of anything else."""
    count = len(before)
    start, end = count, count + 1
    followed = {earlier for direct in before for earlier in direct}
    direct = [(earlier, place) for place, all_ in enumerate(before) for earlier in all_ or [start]]
    direct += [(place, end) for place in range(count) if place not in followed]
    layout = _layered(direct, _depths(before), start, end)
    neighbours = _neighbours(layout)
    for sweep in range(SORTING_SWEEPS):
        _sort_rows(layout.rows, neighbours, downwards=sweep % 2 == 0)
    sizes = [widths[0] if node < count else widths[1] for node in range(len(neighbours))]
    _place(layout, neighbours, sizes, gap)
    return layout


def _depths(before: Sequence[Sequence[int]]) -> list[int]:
    depths: list[int] = []
    for direct in before:
        depths.append(1 + max((depths[place] for place in direct), default=0))
    return [*depths, 0, 1 + max(depths, default=0)]


def _layered(direct: list[tuple[int, int]], depths: list[int], start: int, end: int) -> Layout:
    """Put every node into its row, with a bend for each row that a line passes."""
    rows: list[list[int]] = [[] for _ in range(depths[end] + 1)]
    for node in [start, *range(start), end]:
        rows[depths[node]].append(node)
    edges, next_node = [], end + 1
    for source, target in direct:
        passed = range(depths[source] + 1, depths[target])
        bends = tuple(range(next_node, next_node + len(passed)))
        next_node += len(bends)
        for row, bend in zip(passed, bends, strict=True):
            rows[row].append(bend)
        edges.append(Edge(source, target, bends))
    return Layout(rows, edges)


def _neighbours(layout: Layout) -> list[tuple[list[int], list[int]]]:
    """Return for each node those joined to it in the row above, and in the row below."""
    joined: list[tuple[list[int], list[int]]] = [
        ([], []) for _ in range(sum(map(len, layout.rows)))
    ]
    for edge in layout.edges:
        way = (edge.source, *edge.bends, edge.target)
        for upper, lower in pairwise(way):
            joined[upper][1].append(lower)
            joined[lower][0].append(upper)
    return joined


def _sort_rows(
    rows: list[list[int]], neighbours: list[tuple[list[int], list[int]]], *, downwards: bool
) -> None:
    side = 0 if downwards else 1
    for row in rows if downwards else reversed(rows):
        at = {node: place for other in rows for place, node in enumerate(other)}
        means = {
            node: _mean([at[other] for other in neighbours[node][side]], at[node]) for node in row
        }
        row.sort(key=lambda node: means[node])


def _place(
    layout: Layout,
    neighbours: list[tuple[list[int], list[int]]],
    sizes: list[float],
    gap: float,
) -> None:
    """Move each node towards those it is joined to, without changing the order of its row."""
    centres = [0.0] * len(sizes)
    for row in layout.rows:
        _spread(row, centres, sizes, gap)
    for sweep in range(PLACING_SWEEPS):
        rows = layout.rows if sweep % 2 == 0 else layout.rows[::-1]
        for row in rows:
            for node in row:
                above, below = neighbours[node]
                centres[node] = _mean([centres[other] for other in above + below], centres[node])
            _spread(row, centres, sizes, gap)
    left = min(centre - sizes[node] / 2 for node, centre in enumerate(centres))
    layout.centres = [centre - left for centre in centres]


def _spread(row: list[int], centres: list[float], sizes: list[float], gap: float) -> None:
    """Move the nodes of a row apart, half of them to the right and half to the left."""
    apart = [(sizes[a] + sizes[b]) / 2 + gap for a, b in pairwise(row)]
    wanted = [centres[node] for node in row]
    right, left = list(wanted), list(wanted)
    for i, distance in enumerate(apart):
        right[i + 1] = max(right[i + 1], right[i] + distance)
    for i, distance in reversed([*enumerate(apart)]):
        left[i] = min(left[i], left[i + 1] - distance)
    for node, a, b in zip(row, right, left, strict=True):
        centres[node] = (a + b) / 2


def _mean(values: list[float] | list[int], default: float) -> float:
    return sum(values) / len(values) if values else default
