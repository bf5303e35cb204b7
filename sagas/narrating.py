"""A journal as lines of text: for terminals and failing tests. Nothing of Django is needed."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sagas.core.journal import Kind

_WORDS: dict[str, str] = {
    Kind.SAGA_SCHEDULED: "scheduled",
    Kind.SAGA_STARTED: "started",
    Kind.STEP_SENT: "called",
    Kind.STEP_WAITING: "waits",
    Kind.STEP_SUCCEEDED: "succeeded",
    Kind.STEP_FAILED: "failed",
    Kind.STEP_UNKNOWN: "outcome unknown",
    Kind.STEP_PROBED: "probed",
    Kind.STEP_SKIPPED: "skipped",
    Kind.UNDO_SENT: "undo called",
    Kind.UNDO_WAITING: "undo waits",
    Kind.UNDO_SUCCEEDED: "undone",
    Kind.UNDO_FAILED: "undo failed",
    Kind.UNDO_UNKNOWN: "outcome of the undo unknown",
    Kind.UNDO_NOT_NEEDED: "nothing to undo",
    Kind.SAGA_COMPLETED: "COMPLETED",
    Kind.SAGA_COMPENSATED: "COMPENSATED",
    Kind.SAGA_FAILED: "FAILED: an operator must decide",
    Kind.ABANDONED: "ABANDONED",
}
# Longer values are cut: a line is for people.
MAX_CHARS = 120
STEP_COLUMNS = 20


class Line(NamedTuple):
    """One entry: seconds since the first one, step, what happened, and what there is to say."""

    seq: int
    at: float
    offset_s: float
    step: str
    what: str
    text: str

    def __str__(self) -> str:
        # Without padding at the end.
        return f"{self.offset_s:>10.3f}  {padded(self.step)} {self.what}  {self.text}".rstrip()


def padded(name: str) -> str:
    """Return a step's name as wide as its column; letters of East Asia take two places each."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in name)
    return name + " " * (STEP_COLUMNS - len(name) - wide)


# Number, kind, time in seconds, the step's name or "", data.
Row = tuple[int, str, float, str, Mapping[str, Any]]


def narrate(rows: Iterable[Row], *, began: float | None = None) -> list[Line]:
    """Return the lines of a journal, oldest first. `began` is when the saga did, if not here."""
    lines = []
    for seq, kind, at, step, data in rows:
        began = at if began is None else began
        what = _WORDS.get(kind) or kind.replace("_", " ")
        lines.append(Line(seq, at, at - began, step, what, _describe(kind, data, at)))
    return lines


def _describe(kind: str, data: Mapping[str, Any], at: float) -> str:
    words = [write(data[name]) for name, write in _WRITERS if name in data]
    if "starts_at" in data:
        words.append(f"to begin in {brief(max(0.0, data['starts_at'] - at))}")
    if "wake_at" in data:
        words.append(_wait(kind, data["wake_at"], at))
    return ", ".join(filter(None, words))


def brief(seconds: float) -> str:
    """Return a time in the unit that fits: 35 ms, 1.5 s, 12 min, 3 h, 2 d."""
    for unit, length in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds >= 1 or not seconds else f"{seconds * 1000:.3g} ms"


def shown(value: Any) -> str:
    """Return a value as short JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"


def _error(error: Any) -> str:
    if not error:
        return ""
    where = f"{error['step']}: " if error.get("step") else ""
    text = f"{where}{error.get('class')}: {error.get('message')}"
    return text.replace("\n", " ")[: 2 * MAX_CHARS]


def _wait(kind: str, wake_at: float | None, at: float) -> str:
    if kind in (Kind.STEP_WAITING, Kind.UNDO_WAITING):
        return "" if wake_at is None else f"at most {brief(wake_at - at)}"
    if wake_at is None:
        return "" if kind == Kind.STEP_PROBED else "for good"
    return f"again in {brief(max(0.0, wake_at - at))}"


_WRITERS: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("attempt", lambda attempt: f"attempt {attempt}" if attempt > 1 else ""),
    ("direction", lambda direction: str(direction)),
    ("outcome", lambda outcome: str(outcome)),
    ("for", lambda what: f"for {what}"),
    ("child", lambda child: f"saga {child}"),
    ("signal", lambda name: f"signal {name}"),
    ("name", lambda name: str(name)),
    ("data", lambda value: shown(value) if value is not None else ""),
    ("when", lambda when: f"only if {when}"),
    ("lock", lambda lock: f"lock {lock}"),
    ("holder", lambda holder: f"held by {holder}"),
    ("error", _error),
    ("in_doubt", lambda doubt: "in doubt" if doubt else ""),
    ("timed_out", lambda out: "after its time" if out else ""),
    ("cause", _error),
    ("output", lambda output: shown(output)),
    ("actor", lambda actor: f"by {actor}" if actor else ""),
    ("reason", lambda reason: str(reason)),
    ("evidence", lambda evidence: str(evidence)),
    ("from", lambda version: f"from version {version}"),
    ("to", lambda version: f"to {version}"),
    ("standing", lambda names: f"standing: {', '.join(names) or 'nothing'}"),
)
