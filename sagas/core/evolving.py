"""Folding a journal: the state after each entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sagas.core.journal import Entry, Kind
from sagas.core.state import SagaState, SagaStatus, StepState, StepStatus
from sagas.core.step_changes import STEP_CHANGES, begin_anew, grant, leave_forwards


def evolve(state: SagaState, entry: Entry) -> SagaState:
    """Return the state after the entry; the state given is left as it was."""
    version = state.version + 1
    if entry.step is not None:
        change_step = STEP_CHANGES.get(entry.kind)
        if change_step is not None:
            steps = list(state.steps)
            steps[entry.step] = change_step(state, steps[entry.step], entry)
            # What `_replace` does, in a third of the time.
            state = SagaState(state.status, tuple(steps), version, *state[3:])
            if state.timeout_s is not None and state.deadline is None:
                state = _set_deadline(state, entry.at)
            follow_up = _FOLLOW_UPS.get(entry.kind)
            return state if follow_up is None else follow_up(state, entry)
    return _SAGA_CHANGES[entry.kind](state, entry)._replace(version=version)


def fold(state: SagaState, entries: Iterable[Entry]) -> SagaState:
    """Return the state after all the entries."""
    for entry in entries:
        state = evolve(state, entry)
    return state


def _set_deadline(state: SagaState, at: float) -> SagaState:
    """Begin the time that the saga may take: at its first step, and anew when it is retried."""
    if state.status != SagaStatus.RUNNING or state.timeout_s is None:
        return state
    return state._replace(deadline=at + state.timeout_s)


def _reopen(state: SagaState, entry: Entry) -> SagaState:
    """A late success after the saga was undone leaves an effect standing: undo that one too."""
    step = entry.step or 0
    if state.status == SagaStatus.COMPENSATED and state.steps[step].in_doubt:
        return state._replace(status=SagaStatus.COMPENSATING)
    return state


def _take_signal(state: SagaState, entry: Entry) -> SagaState:
    signals = list(state.signals)
    signals.remove((entry.data["signal"], entry.data.get("output")))
    return state._replace(signals=tuple(signals))


def _saga_scheduled(state: SagaState, entry: Entry) -> SagaState:
    return _saga_started(state, entry)._replace(scheduled=True)


def _saga_started(state: SagaState, entry: Entry) -> SagaState:
    """Begin; what was scheduled knows the rest. (Once a start at a time was this entry alone.)"""
    data = entry.data
    return state._replace(
        timeout_s=data.get("timeout_s", state.timeout_s),
        parent=data.get("parent", state.parent),
        starts_at=data.get("starts_at", state.starts_at),
        scheduled=False,
    )


def _signalled(state: SagaState, entry: Entry) -> SagaState:
    signal = (entry.data["name"], entry.data.get("data"))
    return state._replace(signals=(*state.signals, signal))


def _compensation_ordered(state: SagaState, entry: Entry) -> SagaState:
    chosen = entry.data.get("steps")
    state = state._replace(chosen=None if chosen is None else tuple(chosen), rewinding=None)
    return _grant_undos(state)


def _rewind_ordered(state: SagaState, entry: Entry) -> SagaState:
    state = state._replace(
        chosen=tuple(entry.data["undo"]), rewinding=tuple(entry.data["steps"]), cause=None
    )
    return _grant_undos(state)


def _grant_undos(state: SagaState) -> SagaState:
    """Try those undos again that had failed and are ordered now."""
    steps = tuple(
        grant(step)
        if step.status == StepStatus.COMPENSATION_FAILED
        and (state.chosen is None or index in state.chosen)
        else step
        for index, step in enumerate(state.steps)
    )
    return state._replace(steps=steps)


def _compensation_began(state: SagaState, entry: Entry) -> SagaState:
    return state._replace(
        status=SagaStatus.COMPENSATING,
        steps=tuple(
            leave_forwards(step) if state.rewinding is None or index in state.rewinding else step
            for index, step in enumerate(state.steps)
        ),
        backward=True,
        cancelling=False,
        deadline=None,
        cause=entry.data.get("cause"),
    )


def _rewound(state: SagaState, entry: Entry) -> SagaState:
    steps = list(state.steps)
    for index in entry.data["steps"]:
        steps[index] = begin_anew(steps[index])
    return state._replace(
        status=SagaStatus.RUNNING,
        steps=tuple(steps),
        backward=False,
        chosen=None,
        rewinding=None,
        cause=None,
    )


def _saga_completed(state: SagaState, entry: Entry) -> SagaState:
    return state._replace(status=SagaStatus.COMPLETED, deadline=None, cancelling=False, cause=None)


def _saga_compensated(state: SagaState, entry: Entry) -> SagaState:
    return state._replace(status=SagaStatus.COMPENSATED, backward=True, chosen=None)


def _saga_failed(state: SagaState, entry: Entry) -> SagaState:
    state = state._replace(status=SagaStatus.FAILED, cause=entry.data.get("cause"))
    return state._replace(chosen=None) if entry.data.get("partly") else state


def _abandoned(state: SagaState, entry: Entry) -> SagaState:
    return state._replace(status=SagaStatus.ABANDONED, deadline=None, paused_at=None)


def _retried(state: SagaState, entry: Entry) -> SagaState:
    """Grant a new budget to every step named, all failed branches at once."""
    edited = "input" in entry.data
    steps = list(state.steps)
    for index in entry.data["steps"]:
        steps[index] = grant(steps[index], edited=edited)
    status = SagaStatus.COMPENSATING if state.backward else SagaStatus.RUNNING
    if edited:
        state = state._replace(editions=(*state.editions, entry.data["input"]))
    # A deadline that has passed would end the retry before it began; it gets a new one.
    return state._replace(status=status, steps=tuple(steps), deadline=None)


def _hurried(state: SagaState, entry: Entry) -> SagaState:
    steps = list(state.steps)
    for index in entry.data["steps"]:
        steps[index] = steps[index]._replace(wake_at=entry.at)
    return state._replace(steps=tuple(steps))


def _moved(state: SagaState, entry: Entry) -> SagaState:
    """Go on under another version: steps keep what they have come to by their names."""
    known = dict(zip(entry.data["before"], state.steps, strict=True))
    steps = tuple(known.get(name, StepState()) for name in entry.data["after"])
    return state._replace(steps=steps, timeout_s=entry.data.get("timeout_s"), deadline=None)


def _lock_released(state: SagaState, entry: Entry) -> SagaState:
    """Nothing of its own changes: it takes the lock again before its next step forwards."""
    return state


def _cancelled(state: SagaState, entry: Entry) -> SagaState:
    return state._replace(cancelling=True)


def _paused(state: SagaState, entry: Entry) -> SagaState:
    return state._replace(paused_at=entry.at)


def _resumed(state: SagaState, entry: Entry) -> SagaState:
    """Deadlines and budgets stood still while it was paused: move them by the time it took."""
    took = entry.at - (state.paused_at or entry.at)
    steps = tuple(
        step
        if step.wake_at is None and step.failing_since is None
        else step._replace(
            wake_at=_later(step.wake_at, took), failing_since=_later(step.failing_since, took)
        )
        for step in state.steps
    )
    return state._replace(paused_at=None, steps=steps, deadline=_later(state.deadline, took))


def _later(at: float | None, by_s: float) -> float | None:
    # Whole microseconds, as the database keeps times.
    return None if at is None else round(at + by_s, 6)


_FOLLOW_UPS: dict[Kind, Callable[[SagaState, Entry], SagaState]] = {
    Kind.LATE_REPLY: _reopen,
    Kind.SIGNAL_TAKEN: _take_signal,
}

_SAGA_CHANGES: dict[Kind, Callable[[SagaState, Entry], SagaState]] = {
    Kind.SAGA_SCHEDULED: _saga_scheduled,
    Kind.SAGA_STARTED: _saga_started,
    Kind.SIGNALLED: _signalled,
    Kind.COMPENSATION_BEGAN: _compensation_began,
    Kind.SAGA_COMPLETED: _saga_completed,
    Kind.SAGA_COMPENSATED: _saga_compensated,
    Kind.SAGA_FAILED: _saga_failed,
    Kind.RETRIED: _retried,
    Kind.CANCELLED: _cancelled,
    Kind.LOCK_RELEASED: _lock_released,
    Kind.COMPENSATION_ORDERED: _compensation_ordered,
    Kind.PAUSED: _paused,
    Kind.RESUMED: _resumed,
    Kind.HURRIED: _hurried,
    Kind.REWIND_ORDERED: _rewind_ordered,
    Kind.REWOUND: _rewound,
    Kind.ABANDONED: _abandoned,
    Kind.MOVED: _moved,
}
