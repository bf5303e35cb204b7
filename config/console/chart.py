"""The throughput chart of the last hour, as numbers that the template draws as SVG."""

from __future__ import annotations

from typing import NamedTuple

from sagas.console.attention import Minute

WIDTH, HEIGHT, BASE = 720.0, 150.0, 128.0
LEFT = 36.0
# From the bottom up; each with the tone that the stylesheet colours it with.
LAYERS = (("completed", "good"), ("compensated", "undone"), ("failed", "bad"), ("moving", "active"))


class Block(NamedTuple):
    tone: str
    y: float
    height: float


class Column(NamedTuple):
    minute: Minute
    x: float
    width: float
    blocks: list[Block]


class Chart(NamedTuple):
    columns: list[Column]
    # (y, label) of the horizontal lines.
    lines: list[tuple[float, str]]
    # (x, label) under the axis.
    times: list[tuple[float, int]]
    is_empty: bool


def draw(minutes: list[Minute]) -> Chart:
    """Return the chart: a column a minute, stacked by what became of its sagas."""
    top = _round_up(max((minute.total for minute in minutes), default=0))
    step = (WIDTH - LEFT) / len(minutes)
    columns = [
        Column(minute, round(LEFT + n * step + 1, 2), round(step - 2, 2), _stack(minute, top))
        for n, minute in enumerate(minutes)
    ]
    lines = [(_height(share * top, top), _short(share * top)) for share in (0.5, 1)]
    times = [(round(LEFT + (60 - ago) * step, 1), ago) for ago in (60, 45, 30, 15)]
    return Chart(columns, lines, times, is_empty=not any(m.total for m in minutes))


def _short(number: float) -> str:
    """Return the number in the few characters that fit beside the chart: 500, 2.5k, 10k."""
    return f"{number:,.0f}" if number < 1000 else f"{number / 1000:g}k"


def _stack(minute: Minute, top: int) -> list[Block]:
    blocks = []
    below = 0
    for name, tone in LAYERS:
        count = getattr(minute, name)
        if count:
            y = _height(below + count, top)
            blocks.append(Block(tone, y, round(max(_height(below, top) - y, 1.0), 2)))
        below += count
    return blocks


def _height(count: float, top: int) -> float:
    return round(BASE - (BASE - 12) * count / top, 2)


def _round_up(largest: int) -> int:
    """Return an even, round number that is at least the largest."""
    unit = 1
    while True:
        for factor in (2, 4, 10):
            if largest <= factor * unit:
                return factor * unit
        unit *= 10
