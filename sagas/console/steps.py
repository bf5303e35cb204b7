"""The steps of one saga as the page shows them: forwards, backwards and on a common time axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from sagas.console.surroundings import waiting_since
from sagas.console.wording import KIND, STEP_STATUS, STEP_TYPE, WAITS_FOR
from sagas.core.definition import Definition, Kind, Step
from sagas.core.journal import Kind as EntryKind
from sagas.core.state import SagaState, StepState, StepStatus, WaitsFor
from sagas.models import JournalEntry

BACKWARD = frozenset(
    {
        StepStatus.COMPENSATING,
        StepStatus.COMPENSATED,
        StepStatus.COMPENSATION_FAILED,
        StepStatus.DONE_BY_HAND,
        StepStatus.NOT_NEEDED,
    }
)
# How a call ended → the status that its bar is drawn with.
FORWARD_ENDS = {
    EntryKind.STEP_SUCCEEDED: StepStatus.SUCCEEDED,
    EntryKind.STEP_FAILED: StepStatus.FAILED,
    EntryKind.STEP_UNKNOWN: StepStatus.UNKNOWN,
}
BACKWARD_ENDS = {
    EntryKind.UNDO_SUCCEEDED: StepStatus.COMPENSATED,
    EntryKind.UNDO_FAILED: StepStatus.COMPENSATION_FAILED,
    EntryKind.UNDO_UNKNOWN: StepStatus.UNKNOWN,
}
WAIT_ENDS = {
    EntryKind.SIGNAL_TAKEN: StepStatus.SUCCEEDED,
    EntryKind.APPROVED: StepStatus.SUCCEEDED,
    EntryKind.REJECTED: StepStatus.FAILED,
    EntryKind.STEP_SKIPPED: StepStatus.SKIPPED,
}
BEGINS = frozenset({EntryKind.STEP_SENT, EntryKind.UNDO_SENT})
# A pause longer than this share of the busy time is drawn as a short break.
LONG_PAUSE = 0.25
BREAK_WIDTH = 0.06


class Call(NamedTuple):
    """One attempt: a bar on the time axis."""

    step: str
    attempt: int
    backward: bool
    status: str
    began: float
    ended: float


class Bar(NamedTuple):
    """A call on the axis; `left` and `width` in percent."""

    call: Call
    left: float
    width: float
    seconds: float


class StepRow(NamedTuple):
    number: int
    step: Step
    state: StepState
    kind_label: str
    # The status forwards and, once compensation has reached the step, backwards.
    forward: str
    forward_label: str
    backward: str
    backward_label: str
    seconds: float | None
    undo_seconds: float | None
    bars: list[Bar]
    # What it is, where it is no call.
    type_label: str
    # The steps that may go side by side with it.
    beside: list[str]
    # Since when it waits for something other than a reply.
    since: datetime | None

    @property
    def is_pivot(self) -> bool:
        return self.step.kind == Kind.PIVOT


def step_rows(
    definition: Definition, state: SagaState, journal: Sequence[JournalEntry], now: float
) -> list[StepRow]:
    """Return a row per step; times come from the journal, statuses from the state."""
    calls = list(_calls(journal, now))
    axis = _Axis(calls)
    rows = []
    beside = side_by_side(definition)
    for number, (step, step_state) in enumerate(
        zip(definition.steps, state.steps, strict=True), start=1
    ):
        own = [call for call in calls if call.step == step.name]
        forward = _forward_status(step_state, own)
        backward = step_state.status if step_state.status in BACKWARD else ""
        rows.append(
            StepRow(
                number=number,
                step=step,
                state=step_state,
                kind_label=str(KIND[step.kind]),
                forward=forward,
                forward_label=_forward_label(forward, step_state),
                backward=backward,
                backward_label=str(STEP_STATUS[StepStatus(backward)]) if backward else "",
                seconds=_spent(own, backward=False),
                undo_seconds=_spent(own, backward=True),
                bars=[axis.bar(call) for call in own],
                type_label=str(STEP_TYPE.get(step.type, "")),
                beside=beside[number - 1],
                since=_since(step, step_state, journal),
            )
        )
    return rows


def side_by_side(definition: Definition) -> list[list[str]]:
    """Return for every step the names of those that neither come before it nor after it."""
    befores: list[set[int]] = []
    for index, step in enumerate(definition.steps):
        direct = (index - 1,) if step.after is None and index else step.after or ()
        befores.append(set(direct).union(*(befores[place] for place in direct)))
    return [
        [
            other.name
            for place, other in enumerate(definition.steps)
            if place != index and place not in befores[index] and index not in befores[place]
        ]
        for index in range(len(definition.steps))
    ]


def _forward_label(status: str, state: StepState) -> str:
    if status == StepStatus.WAITING:
        return str(WAITS_FOR[state.waits_for])
    return str(STEP_STATUS[StepStatus(status)])


def _since(step: Step, state: StepState, journal: Sequence[JournalEntry]) -> datetime | None:
    if state.status != StepStatus.WAITING or state.waits_for == WaitsFor.REPLY:
        return None
    return waiting_since(step.name, journal)


def _calls(journal: Iterable[JournalEntry], now: float) -> Iterable[Call]:
    """Pair what was sent with how it ended; what was not announced began with its predecessor."""
    begun: dict[tuple[str, bool], tuple[float, int]] = {}
    previous = None
    for entry in journal:
        at = entry.at.timestamp()
        kind = EntryKind(entry.kind)
        backward = kind.startswith("undo")
        attempt = entry.data.get("attempt", 0)
        if kind in BEGINS:
            begun[entry.step, backward] = (at, attempt)
        elif kind == EntryKind.STEP_WAITING and "for" in entry.data:
            # Nothing was sent; the wait itself is what takes time.
            begun.setdefault((entry.step, False), (at, attempt))
        elif kind in WAIT_ENDS:
            if call := begun.pop((entry.step, False), None):
                yield Call(entry.step, call[1], False, WAIT_ENDS[kind], call[0], at)
        elif ended := FORWARD_ENDS.get(kind) or BACKWARD_ENDS.get(kind):
            began, _attempt = begun.pop((entry.step, backward), (previous or at, attempt))
            yield Call(entry.step, attempt, backward, ended, began, at)
        previous = at
    for (step, backward), (began, attempt) in begun.items():
        status = StepStatus.COMPENSATING if backward else StepStatus.RUNNING
        yield Call(step, attempt, backward, status, began, max(now, began))


def _forward_status(state: StepState, calls: list[Call]) -> str:
    if state.status not in BACKWARD:
        return state.status
    forward = [call for call in calls if not call.backward]
    if forward:
        return forward[-1].status
    return StepStatus.UNKNOWN if state.in_doubt else StepStatus.SUCCEEDED


def _spent(calls: list[Call], *, backward: bool) -> float | None:
    own = [call for call in calls if call.backward == backward]
    return sum(call.ended - call.began for call in own) if own else None


class _Axis:
    """Maps times to percent; long pauses in which nothing was in flight shrink to a break."""

    def __init__(self, calls: list[Call]) -> None:
        busy: list[list[float]] = []
        for call in sorted(calls, key=lambda call: call.began):
            if busy and call.began <= busy[-1][1]:
                busy[-1][1] = max(busy[-1][1], call.ended)
            else:
                busy.append([call.began, call.ended])
        worked = sum(end - begin for begin, end in busy) or 1e-3
        # (time, place) of every edge; in between, places are interpolated.
        self._edges: list[tuple[float, float]] = []
        place = 0.0
        for index, (begin, end) in enumerate(busy):
            if index:
                pause = begin - busy[index - 1][1]
                place += BREAK_WIDTH * worked if pause > LONG_PAUSE * worked else pause
            self._edges.append((begin, place))
            place += end - begin
            self._edges.append((end, place))
        self._length = place or 1e-3

    def bar(self, call: Call) -> Bar:
        left = 100 * self._place(call.began) / self._length
        right = 100 * self._place(call.ended) / self._length
        width = max(right - left, 0.8)
        return Bar(call, round(min(left, 99.2), 2), round(width, 2), call.ended - call.began)

    def _place(self, time: float) -> float:
        for (begin, low), (end, high) in pairwise(self._edges):
            if begin <= time <= end:
                return low + (time - begin) / (end - begin) * (high - low) if end > begin else low
        return 0.0
