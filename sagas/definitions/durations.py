"""Durations as people write them: `500ms`, `10s`, `5m`, `2h`, `1d`."""

from __future__ import annotations

import re

from sagas.definitions.wording import quoted

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
LONGEST_S = 365 * SECONDS["d"]

# Twelve digits are more than any unit needs; int() itself refuses very long ones.
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h|d)", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)


def read_duration(text: str) -> float:
    """Return the seconds that a duration such as `10s` stands for. Raises ValueError."""
    if _NUMBER.fullmatch(text):
        raise ValueError(f"{text} has no unit; write for example {text}s")
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(text)} is no duration; write for example 10s, 500ms, 5m")
    number, unit = match.groups()
    # Dividing keeps 100ms the same float as 0.1, which multiplying by 0.001 does not always.
    seconds = float(number) / 1000 if unit == "ms" else float(number) * SECONDS[unit]
    if seconds > LONGEST_S:
        raise ValueError(f"{text} is longer than the longest duration, 365d")
    return seconds


def format_duration(seconds: float) -> str:
    """Return the seconds in the largest unit that gives a whole number: 90 is `90s`, 120 `2m`."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= SECONDS[unit] and seconds % SECONDS[unit] == 0:
            return f"{seconds / SECONDS[unit]:.0f}{unit}"
    return f"{round(seconds * 1000, 3):.15g}ms" if seconds else "0s"
