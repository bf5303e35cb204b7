"""A definition drawn as SVG, in the colour of the text around it."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from sagas.core.definition import WAITS, Definition, Kind, Step, StepType
from sagas.definitions.graphs import ENGLISH, Label, Words, label_of
from sagas.definitions.layouts import Edge, Layout, lay_out
from sagas.definitions.ordering import predecessors

NARROWEST, WIDEST = 170.0, 300.0
BEND, GAP, ROW_GAP, MARGIN, PADDING = 14.0, 20.0, 34.0, 12.0, 14.0
NAME_PX, LINE_PX, KIND_PX = 14, 12, 11
NAME_HEIGHT, LINE_HEIGHT = 20.0, 17.0
DOT, POINT = 5.0, 6
STYLE = (
    "<style>svg{color:#1f2933;background:#fff;color-scheme:light dark}"
    "@media(prefers-color-scheme:dark){svg{color:#e4e7eb;background:#14181d}}</style>"
)
FONTS = "system-ui, 'Noto Sans KR', 'Apple SD Gothic Neo', 'Malgun Gothic', sans-serif"


class _Box(NamedTuple):
    """The rectangle of a node, by its middle and its upper edge."""

    x: float
    y: float
    width: float
    height: float


def to_svg(definition: Definition, words: Words = ENGLISH, *, standalone: bool = True) -> str:
    """Return the definition as SVG.

    A standalone one has its own colours, light or dark as the reader likes; one for a page takes
    the colour and the font of the text around it, and needs no style of its own.
    """
    labels = [_with_undo(label_of(step, words)) for step in definition.steps]
    width = min(WIDEST, max([NARROWEST, *map(_width_of, labels)]))
    layout = lay_out(predecessors(definition.steps), (width, BEND), GAP)
    boxes = _boxes(layout, labels, width)
    lines = [_line(edge, boxes) for edge in layout.edges]
    points = [_point(boxes[target]) for target in {edge.target: None for edge in layout.edges}]
    steps = [
        _draw(step, label, box)
        for step, label, box in zip(definition.steps, labels, boxes, strict=False)
    ]
    dots = [_dot(boxes[len(labels) + end]) for end in (0, 1)]
    right = max(box.x + box.width / 2 for box in boxes) + MARGIN
    bottom = max(box.y + box.height for box in boxes) + MARGIN
    font = f' font-family="{FONTS}"' if standalone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{right:.0f}" height="{bottom:.0f}" '
        f'viewBox="0 0 {right:.0f} {bottom:.0f}" role="img" '
        f'aria-label={_attribute(definition.name)} fill="currentColor"{font}>'
        f"{STYLE if standalone else ''}{''.join(lines + points + dots + steps)}</svg>\n"
    )


def _with_undo(label: Label) -> Label:
    return label._replace(lines=(*label.lines, label.undo)) if label.undo else label


def _boxes(layout: Layout, labels: list[Label], width: float) -> list[_Box]:
    boxes = [_Box(0, 0, 0, 0)] * len(layout.centres)
    y = MARGIN
    for row in layout.rows:
        heights = {node: _height_of(labels[node]) for node in row if node < len(labels)}
        tallest = max(heights.values(), default=2 * DOT)
        for node in row:
            size = width if node in heights else BEND
            x = layout.centres[node] + MARGIN
            boxes[node] = _Box(x, y, size, heights.get(node, tallest))
        y += tallest + ROW_GAP
    return boxes


def _height_of(label: Label) -> float:
    kind = LINE_HEIGHT if label.kind else 0
    return 2 * PADDING - 8 + NAME_HEIGHT + kind + LINE_HEIGHT * len(label.lines)


def _width_of(label: Label) -> float:
    lines = [_measure(line, LINE_PX) for line in label.lines]
    return max(_measure(label.name, NAME_PX), _measure(label.kind, KIND_PX), *lines) + 2 * PADDING


def _measure(text: str, px: float) -> float:
    """Return about how wide a text is; Korean and Chinese characters are as wide as high."""
    return sum(
        px if unicodedata.east_asian_width(char) in "WF" else px * (0.68 if char.isupper() else 0.6)
        for char in text
    )


def _fitted(text: str, px: float, width: float) -> str:
    if _measure(text, px) <= width:
        return text
    while text and _measure(text + "…", px) > width:
        text = text[:-1]
    return text + "…"


def _draw(step: Step, label: Label, box: _Box) -> str:
    left, right = box.x - box.width / 2, box.x + box.width / 2
    inside = box.width - 2 * PADDING
    kinds = {Kind.PIVOT: " is-pivot", Kind.RETRIABLE: " is-retriable"}
    everything = "\n".join(filter(None, (label.name, label.kind, *label.lines)))
    parts = [f"<title>{_text(everything)}</title>", _frame(step, left, box)]
    y = box.y + PADDING + 10
    parts.append(_words(label.name, (left, y), NAME_PX, inside, ' font-weight="600"'))
    if label.kind:
        y += LINE_HEIGHT
        bold = ' font-weight="600" opacity="0.8"'
        parts.append(_words(label.kind, (left, y), KIND_PX, inside, bold))
    y += 3
    for line in label.lines:
        y += LINE_HEIGHT
        parts.append(_words(line, (left, y), LINE_PX, inside, ' opacity="0.75"'))
    if step.kind == Kind.PIVOT:
        bar = box.y + box.height + ROW_GAP / 2 - 8
        parts.append(_path(f"M{left:.1f} {bar:.1f}H{right:.1f}", ' stroke-width="2.5"'))
    return f'<g class="graph-step is-{step.type}{kinds.get(step.kind, "")}">{"".join(parts)}</g>'


def _frame(step: Step, left: float, box: _Box) -> str:
    """Draw what tells the type: dashed and round for waits, double for another saga."""
    waits = step.type in WAITS
    radius = 20 if waits else 6
    dashes = ' stroke-dasharray="5 4"' if waits else ""
    thickness = 2.5 if step.kind == Kind.PIVOT else 1.25
    frame = _rectangle(left, box, radius, f'{dashes} stroke-width="{thickness}"')
    if step.type != StepType.SAGA:
        return frame
    inner = _Box(box.x, box.y + 3, box.width - 6, box.height - 6)
    return frame + _rectangle(left + 3, inner, 4, ' stroke-width="1.25"')


def _rectangle(left: float, box: _Box, radius: float, more: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{radius}" fill-opacity="0.04" stroke="currentColor" '
        f'stroke-opacity="0.6"{more}/>'
    )


def _words(text: str, at: tuple[float, float], px: float, width: float, more: str) -> str:
    x, y = at[0] + PADDING, at[1]
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{px}"{more}>'
        f"{_text(_fitted(text, px, width))}</text>"
    )


def _line(edge: Edge, boxes: list[_Box]) -> str:
    """Draw a line from the lower edge of a box to where its point begins, above a later one."""
    at = boxes[edge.source]
    x, y = at.x, at.y + at.height
    path = f"M{x:.1f} {y:.1f}"
    for node in (*edge.bends, edge.target):
        box = boxes[node]
        below = box.y - (POINT if node == edge.target else 0)
        middle = max((y + below) / 2, below - ROW_GAP / 2)
        path += f"V{middle - ROW_GAP / 4:.1f}" if middle - ROW_GAP / 4 > y else ""
        path += f"C{x:.1f} {middle:.1f} {box.x:.1f} {middle:.1f} {box.x:.1f} {below:.1f}"
        x, y = box.x, below
        if node != edge.target:
            y = box.y + box.height
            path += f"V{y:.1f}"
    return _path(path, ' stroke-width="1.25"')


def _point(box: _Box) -> str:
    """Draw the point of the arrows that end at a box."""
    return f'<path d="M{box.x - 4:.1f} {box.y - POINT:.1f}h8l-4 {POINT}z" fill-opacity="0.6"/>'


def _path(path: str, more: str) -> str:
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.6"{more}/>'


def _dot(box: _Box) -> str:
    return f'<circle cx="{box.x:.1f}" cy="{box.y + DOT:.1f}" r="{DOT}" fill-opacity="0.6"/>'


def _text(text: str) -> str:
    return escape(_printable(text))


def _attribute(text: str) -> str:
    return quoteattr(_printable(text))


def _printable(text: str) -> str:
    """Leave out what XML has no place for."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
