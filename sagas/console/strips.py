"""The strips of lists: a mark for every step, and what holds up a saga that is still moving."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import F, Func, JSONField
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.sentences import speak
from sagas.console.wording import STEP_STATUS, WAITS_FOR
from sagas.core.state import StepStatus, WaitsFor

# More marks than this are drawn small, in several lines.
LARGE_MARKS = 14
_TRIED_AGAIN = (StepStatus.FAILED, StepStatus.UNKNOWN, StepStatus.COMPENSATING)


class Mark(NamedTuple):
    """One step of a strip, at its place."""

    step: str
    status: str
    label: str


class Strip(NamedTuple):
    marks: list[Mark]
    # The strip in words, for those who do not see it.
    words: str

    @property
    def is_dense(self) -> bool:
        return len(self.marks) > LARGE_MARKS


class Setback(NamedTuple):
    """The last failure of a step that is tried again."""

    step: str
    message: str
    # Unix seconds; None while it is being tried, or when nobody knows.
    next_at: float | None


def steps_without_outputs() -> Func:
    """Return the expression for a saga's steps, each at its place, without what may be large."""
    return Func(
        F("state"),
        template=(
            "(SELECT jsonb_agg(step - 'output' #- '{error,trace}' ORDER BY place)"
            " FROM jsonb_array_elements(%(expressions)s -> 'steps')"
            " WITH ORDINALITY AS steps (step, place))"
        ),
        output_field=JSONField(),
    )


def draw_strip(names: Sequence[str], steps: Sequence[Mapping[str, Any]]) -> Strip:
    """Return a mark per step; one that nothing has happened to is pending at its own place."""
    marks = [_mark(name, step) for name, step in zip(names, steps, strict=False)]
    counts = Counter(mark.label for mark in marks)
    told = [_("%(n)d %(status)s") % {"n": n, "status": label} for label, n in counts.items()]
    total = ngettext("%(n)d step", "%(n)d steps", len(marks)) % {"n": len(marks)}
    return Strip(marks, f"{total}: {', '.join(told)}")


def find_setback(names: Sequence[str], steps: Iterable[Mapping[str, Any]]) -> Setback | None:
    """Return what went wrong in the step that is tried again first, if there is one."""
    found = [
        Setback(name, _message(step["error"]), _next_at(step))
        for name, step in zip(names, steps, strict=False)
        if "failing_since" in step and step.get("error")
    ]
    return min(found, key=lambda setback: setback.next_at or 0.0, default=None)


def _mark(name: str, step: Mapping[str, Any]) -> Mark:
    status = StepStatus(step.get("status", StepStatus.PENDING))
    label = STEP_STATUS[status]
    if status == StepStatus.WAITING:
        label = WAITS_FOR[WaitsFor(step.get("waits_for", WaitsFor.REPLY))]
    return Mark(name, status, str(label))


def _message(error: Mapping[str, Any]) -> str:
    return speak(str(error.get("message") or "")) or str(error.get("class", ""))


def _next_at(step: Mapping[str, Any]) -> float | None:
    """Return when it is tried again; what was accepted or sent has another time to wait for."""
    is_resting = step.get("status") in _TRIED_AGAIN and not step.get("accepted")
    at: float | None = step.get("wake_at") if is_resting else None
    return at
