"""The entries of a saga's journal; what each of them changes is in `core.evolving`.

| kind | data |
|---|---|
| saga_scheduled | starts_at, timeout_s?, parent? |
| saga_started | timeout_s?, parent? (nothing where it was scheduled before) |
| step_sent, undo_sent | attempt |
| step_succeeded, undo_succeeded | attempt, output?, timed_out? |
| step_waiting, undo_waiting | attempt, wake_at, for? (see `WaitsFor`), child? |
| step_failed, undo_failed | attempt, error, wake_at (null: for good), in_doubt? |
| step_unknown, undo_unknown | attempt, error, wake_at (null: for good) |
| step_probed | attempt, outcome, output?, error?, wake_at |
| step_skipped | when, or actor, reason, output? |
| signal_taken | attempt, signal, output |
| lock_awaited | lock, holder |
| lock_released | actor, reason, lock |
| undo_not_needed | reason |
| late_reply | direction, attempt, outcome, output?, error? |
| compensation_began | cause |
| saga_completed, saga_compensated | |
| saga_failed | cause, partly? (chosen steps are undone, others are not) |
| signalled | name, data, actor?, message_id? |
| retried | actor, reason, steps, input?, changes? |
| compensation_ordered | actor, reason, steps? |
| cancelled, paused, resumed | actor, reason |
| marked_done | actor, reason, evidence |
| approved, rejected | actor, reason |
| hurried | actor, reason, steps |
| rewind_ordered | actor, reason, to, steps, undo |
| rewound | steps |
| abandoned | actor, reason, standing |
| moved | actor, reason, from, to, before, after, timeout_s? |

Errors are `{"class", "message", "retryable"}`. A cause is an error with its `"step"`; when an undo
could not get through, `"first"` in it is the cause of the compensation. Lists named steps and undo
hold places, before, after and standing hold names. `changes` are lines `{"path", "old", "new"}`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from sagas.core.state import UNTOUCHED, SagaState


class Kind(StrEnum):
    SAGA_SCHEDULED = "saga_scheduled"
    SAGA_STARTED = "saga_started"
    STEP_SENT = "step_sent"
    STEP_WAITING = "step_waiting"
    STEP_SUCCEEDED = "step_succeeded"
    STEP_FAILED = "step_failed"
    STEP_UNKNOWN = "step_unknown"
    STEP_PROBED = "step_probed"
    STEP_SKIPPED = "step_skipped"
    SIGNAL_TAKEN = "signal_taken"
    LOCK_AWAITED = "lock_awaited"
    LOCK_RELEASED = "lock_released"
    UNDO_SENT = "undo_sent"
    UNDO_WAITING = "undo_waiting"
    UNDO_SUCCEEDED = "undo_succeeded"
    UNDO_FAILED = "undo_failed"
    UNDO_UNKNOWN = "undo_unknown"
    UNDO_NOT_NEEDED = "undo_not_needed"
    LATE_REPLY = "late_reply"
    COMPENSATION_BEGAN = "compensation_began"
    SAGA_COMPLETED = "saga_completed"
    SAGA_COMPENSATED = "saga_compensated"
    SAGA_FAILED = "saga_failed"
    RETRIED = "retried"
    COMPENSATION_ORDERED = "compensation_ordered"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    RESUMED = "resumed"
    MARKED_DONE = "marked_done"
    SIGNALLED = "signalled"
    APPROVED = "approved"
    REJECTED = "rejected"
    HURRIED = "hurried"
    REWIND_ORDERED = "rewind_ordered"
    REWOUND = "rewound"
    ABANDONED = "abandoned"
    MOVED = "moved"


class Entry(NamedTuple):
    """One line of the journal. `step` is the step's index; `at` the database's clock in seconds."""

    kind: Kind
    at: float
    step: int | None = None
    data: dict[str, Any] = {}


def initial(step_count: int) -> SagaState:
    """Return the state before the first entry."""
    return SagaState(steps=(UNTOUCHED,) * step_count)
