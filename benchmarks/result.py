"""What a benchmark came to, and how it is shown."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass
class Result:
    """One figure: the median of its rounds. `goal` is a lower bound, or an upper one."""

    name: str
    unit: str
    rounds: list[float]
    goal: float | None = None
    at_most: bool = False
    note: str = ""
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.median <= self.goal if self.at_most else self.median >= self.goal

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"median": self.median, "reached": self.reached}


def rounds_of(count: int, measure: Callable[[], float]) -> list[float]:
    """Measure so many times, after one round that only warms up."""
    measure()
    return [measure() for _ in range(count)]


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the sample that so many percent of all do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]


def show(results: Iterable[Result]) -> None:
    table = Table("Benchmark", "Median", "Lowest", "Highest", "Goal", "Unit", "Note")
    for column in table.columns[1:5]:
        column.justify = "right"
    for result in results:
        table.add_row(
            result.name,
            number(result.median),
            number(min(result.rounds)),
            number(max(result.rounds)),
            goal(result),
            result.unit,
            result.note,
        )
    Console().print(table)


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def goal(result: Result) -> str:
    if result.goal is None:
        return ""
    sign = "≤" if result.at_most else "≥"
    return f"{sign} {result.goal:,g} {'✓' if result.reached else '✗'}"


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "python": platform.python_version(),
        "system": platform.platform(),
        "load": list(os.getloadavg()),
    }
