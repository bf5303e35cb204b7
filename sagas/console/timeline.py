"""One timeline of a saga: its journal, its messages and its dead letters, with gaps named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from dlq.models import DeadLetter
from outbox.models import Message
from outbox.sentences import speak
from outbox.templatetags.console import duration
from sagas.console.surroundings import WAITS
from sagas.console.translating import translate_failure
from sagas.console.wording import BEGAN_TO_WAIT, COMMANDED, JOURNAL, PROBED
from sagas.core.journal import Kind
from sagas.core.state import WaitsFor
from sagas.models import JournalEntry

# Silence longer than this is shown as a line of its own.
GAP_S = 60.0
# Keys of an entry's data that have a place of their own in its line.
SPOKEN = {"attempt", "error", "actor", "reason", "evidence", "wake_at", "cause", "output", "steps"}
SPOKEN |= {"for", "child", "changes", "lock", "holder", "standing", "when", "before", "after", "to"}
SPOKEN |= {
    "starts_at",
    "from",
    "undo",
    "outcome",
    "name",
    "signal",
    "in_doubt",
    "timed_out",
    "partly",
}


class Line(NamedTuple):
    at: datetime
    title: str
    icon: str
    tone: str
    step: str = ""
    attempt: int = 0
    # What went wrong, or why somebody did it.
    text: str = ""
    actor: str = ""
    # How long until the next attempt, or until the wait ends.
    wait: str = ""
    # Seconds between sending the call and this answer, and since the saga was started.
    took: str = ""
    offset: str = ""
    # Seconds of silence before this line, when they were many.
    gap: str = ""
    number: int | None = None
    # What an operator changed in the input: {"path", "old"?, "new"?}.
    changes: Sequence[dict[str, Any]] = ()
    url_name: str = ""
    target: Any = None
    data: Any = None


def timeline(
    journal: Sequence[JournalEntry],
    messages: Sequence[Message],
    letters: Sequence[DeadLetter],
) -> list[Line]:
    """Return everything that happened, newest first."""
    lines = _journal_lines(journal)
    lines += [_message_line(message) for message in messages]
    lines += [_letter_line(letter) for letter in letters]
    lines.sort(key=lambda line: (line.at, line.number or 0))
    return _name_gaps(lines)[::-1]


def _journal_lines(journal: Sequence[JournalEntry]) -> list[Line]:
    """Fold the sending of a call into its answer; only what is not answered stands alone."""
    lines: list[Line] = []
    # Where in `lines` a call was sent; those that have been answered since.
    sent: dict[tuple[str, bool, int], int] = {}
    answered: set[int] = set()
    for entry in journal:
        line = _journal_line(entry)._replace(offset=_offset(entry, journal[0]))
        call = (entry.step, entry.kind.startswith("undo"), line.attempt)
        if entry.kind in (Kind.STEP_SENT, Kind.UNDO_SENT):
            sent[call] = len(lines)
        elif call in sent:
            begun = sent.pop(call)
            line = line._replace(took=duration((entry.at - lines[begun].at).total_seconds()))
            answered.add(begun)
        elif "for" not in entry.data and entry.kind in COMMANDED:
            line = line._replace(title=str(COMMANDED[Kind(entry.kind)]))
        lines.append(line)
    return [line for place, line in enumerate(lines) if place not in answered]


def _offset(entry: JournalEntry, first: JournalEntry) -> str:
    """Return the time since the start; nothing for the start, or when the start is not shown."""
    if entry is first or first.seq != 1:
        return ""
    return duration((entry.at - first.at).total_seconds())


def _journal_line(entry: JournalEntry) -> Line:
    title, icon, tone = JOURNAL[Kind(entry.kind)]
    data = entry.data
    error = translate_failure(data.get("error") or data.get("cause") or {})
    text = ": ".join(part for part in (error.get("class"), error.get("message")) if part)
    rest = {key: value for key, value in data.items() if key not in SPOKEN}
    if data.get("output") not in (None, {}, ""):
        rest["output"] = data["output"]
    reason = speak(data.get("reason") or "")
    words = [_particulars(entry), text, reason, data.get("evidence", "")]
    target = data.get("child") or data.get("holder")
    return Line(
        at=entry.at,
        title=str(BEGAN_TO_WAIT.get(data.get("for"), title)),
        icon=icon,
        tone=tone,
        step=entry.step,
        attempt=data.get("attempt", 0),
        text=" · ".join(part for part in words if part),
        actor=data.get("actor") or "",
        wait=_wait(entry),
        number=entry.seq,
        changes=data.get("changes", ()),
        url_name="admin:saga" if target else "",
        target=target,
        data=rest or None,
    )


def _particulars(entry: JournalEntry) -> str:
    """Say what is told by some kinds of entries only."""
    data = entry.data
    told: dict[Kind, Callable[[], str]] = {
        Kind.SAGA_SCHEDULED: lambda: (
            _("to begin in %(time)s") % {"time": _seconds_until(data["starts_at"], entry)}
        ),
        Kind.LOCK_AWAITED: lambda: _("lock %(lock)s") % data,
        Kind.STEP_WAITING: lambda: _("its saga") if data.get("child") else "",
        Kind.STEP_SKIPPED: lambda: _("only if %(when)s") % data if data.get("when") else "",
        Kind.STEP_PROBED: lambda: str(PROBED[data["outcome"]]),
        Kind.SIGNALLED: lambda: str(data["name"]),
        Kind.SIGNAL_TAKEN: lambda: str(data["signal"]),
        Kind.MOVED: lambda: f"v{data['from']} → v{data['to']}",
        Kind.ABANDONED: lambda: (
            _("effects stand of: %s") % ", ".join(data["standing"]) if data["standing"] else ""
        ),
        Kind.STEP_SUCCEEDED: lambda: (
            _("went on without what it waited for") if data.get("timed_out") else ""
        ),
        Kind.RETRIED: lambda: _("with another input") if "input" in data else "",
    }
    tell = told.get(Kind(entry.kind))
    return tell() if tell else ""


def _wait(entry: JournalEntry) -> str:
    wake_at = entry.data.get("wake_at")
    if wake_at is None:
        return ""
    words = _("next attempt after %(wait)s")
    if entry.data.get("for") == WaitsFor.TIME:
        words = _("goes on after %(wait)s")
    elif entry.kind in WAITS:
        words = _("waits for it %(wait)s at most")
    return words % {"wait": _seconds_until(wake_at, entry)}


def _seconds_until(at: float, entry: JournalEntry) -> str:
    return duration(max(0.0, at - entry.at.timestamp()))


def _message_line(message: Message) -> Line:
    return Line(
        at=message.created_at,
        title=_("Message written to the outbox"),
        icon="message",
        tone="quiet",
        text=message.type,
        url_name="admin:message",
        target=message.pk,
    )


def _letter_line(letter: DeadLetter) -> Line:
    return Line(
        at=letter.dead_at,
        title=_("Became a dead letter"),
        icon="letters",
        tone="bad",
        text=f"{letter.destination} · {speak(letter.error_message) or letter.get_reason_display()}",
        url_name="admin:letter",
        target=letter.pk,
    )


def _name_gaps(lines: list[Line]) -> list[Line]:
    named = lines[:1]
    for before, line in pairwise(lines):
        silence = (line.at - before.at).total_seconds()
        named.append(line._replace(gap=duration(silence)) if silence > GAP_S else line)
    return named
