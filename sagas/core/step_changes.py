"""What an entry of the journal changes in the step that it names."""

from __future__ import annotations

from collections.abc import Callable

from sagas.core.journal import Entry, Kind
from sagas.core.state import (
    IDLE_WAITS,
    Direction,
    SagaState,
    StepState,
    StepStatus,
    WaitsFor,
)


def _order(state: SagaState, step: StepState) -> int:
    return step.order or 1 + max([other.order for other in state.steps])


def _step_sent(state: SagaState, step: StepState, entry: Entry) -> StepState:
    return step._replace(
        status=StepStatus.RUNNING,
        order=_order(state, step),
        attempt=entry.data["attempt"],
        sent=True,
        wake_at=None,
        edition=len(state.editions),
        blocked=None,
    )


def _step_waiting(state: SagaState, step: StepState, entry: Entry) -> StepState:
    return step._replace(
        status=StepStatus.WAITING,
        order=_order(state, step),
        attempt=entry.data["attempt"],
        sent=False,
        wake_at=entry.data["wake_at"],
        waits_for=WaitsFor(entry.data.get("for", WaitsFor.REPLY)),
        child=entry.data.get("child", step.child),
        edition=len(state.editions),
        blocked=None,
    )


def _step_succeeded(state: SagaState, step: StepState, entry: Entry) -> StepState:
    """Made anew: of what was before, only this is still of interest."""
    return StepState(
        status=StepStatus.SUCCEEDED,
        order=_order(state, step),
        attempt=entry.data["attempt"],
        undo_attempt=step.undo_attempt,
        generation=step.generation,
        undo_generation=step.undo_generation,
        output=entry.data.get("output"),
        child=step.child,
        settled=step.settled,
        undo_settled=step.undo_settled,
        edition=len(state.editions),
    )


def _step_failed(state: SagaState, step: StepState, entry: Entry) -> StepState:
    unknown = entry.kind == Kind.STEP_UNKNOWN
    return step._replace(
        status=StepStatus.UNKNOWN if unknown else StepStatus.FAILED,
        order=_order(state, step),
        attempt=entry.data["attempt"],
        sent=False,
        in_doubt=unknown or entry.data.get("in_doubt", False),
        failing_since=entry.at if step.failing_since is None else step.failing_since,
        wake_at=entry.data["wake_at"],
        error=entry.data["error"],
        waits_for=WaitsFor.REPLY,
        probes=0,
        edition=len(state.editions),
        blocked=None,
    )


def _step_probed(state: SagaState, step: StepState, entry: Entry) -> StepState:
    outcome = entry.data["outcome"]
    if outcome == "succeeded":
        return _step_succeeded(state, step, entry)
    wake_at = entry.data["wake_at"]
    if outcome == "unknown":
        return step._replace(probes=step.probes + 1, wake_at=wake_at)
    return step._replace(
        status=StepStatus.FAILED,
        in_doubt=False,
        probes=0,
        wake_at=wake_at,
        error=entry.data.get("error") or step.error,
    )


def _step_skipped(state: SagaState, step: StepState, entry: Entry) -> StepState:
    """Skipping says that it need not be done, not that nothing was: a doubt remains."""
    return step._replace(
        status=StepStatus.SKIPPED,
        output=entry.data.get("output"),
        wake_at=None,
        error=None,
        waits_for=WaitsFor.REPLY,
        blocked=None,
    )


def _lock_awaited(state: SagaState, step: StepState, entry: Entry) -> StepState:
    return step._replace(
        blocked={"lock": entry.data["lock"], "holder": entry.data["holder"], "since": entry.at}
    )


def _approved(state: SagaState, step: StepState, entry: Entry) -> StepState:
    output = {"by": entry.data["actor"], "reason": entry.data["reason"]}
    return step._replace(
        status=StepStatus.SUCCEEDED, output=output, wake_at=None, waits_for=WaitsFor.REPLY
    )


def _rejected(state: SagaState, step: StepState, entry: Entry) -> StepState:
    error = {
        "class": "Rejected",
        "message": f"{entry.data['actor']}: {entry.data['reason']}",
        "retryable": False,
    }
    return step._replace(
        status=StepStatus.FAILED,
        failing_since=entry.at,
        wake_at=None,
        error=error,
        waits_for=WaitsFor.REPLY,
    )


def _undo_sent(state: SagaState, step: StepState, entry: Entry) -> StepState:
    return step._replace(
        status=StepStatus.COMPENSATING,
        undo_attempt=entry.data["attempt"],
        sent=True,
        accepted=False,
        wake_at=None,
    )


def _undo_waiting(state: SagaState, step: StepState, entry: Entry) -> StepState:
    return step._replace(
        status=StepStatus.COMPENSATING,
        undo_attempt=entry.data["attempt"],
        sent=False,
        accepted=True,
        wake_at=entry.data["wake_at"],
        waits_for=WaitsFor(entry.data.get("for", WaitsFor.REPLY)),
    )


def _undo_succeeded(state: SagaState, step: StepState, entry: Entry) -> StepState:
    """Made anew, as in `_step_succeeded`."""
    return StepState(
        status=StepStatus.COMPENSATED,
        order=step.order,
        attempt=step.attempt,
        undo_attempt=entry.data["attempt"],
        output=step.output,
        error=step.error,
        spent_before=step.spent_before,
        generation=step.generation,
        undo_generation=step.undo_generation,
        child=step.child,
        settled=step.settled,
        undo_settled=step.undo_settled,
        edition=step.edition,
    )


def _undo_failed(state: SagaState, step: StepState, entry: Entry) -> StepState:
    wake_at = entry.data["wake_at"]
    return step._replace(
        status=StepStatus.COMPENSATION_FAILED if wake_at is None else StepStatus.COMPENSATING,
        undo_attempt=entry.data["attempt"],
        sent=False,
        accepted=False,
        failing_since=entry.at if step.failing_since is None else step.failing_since,
        wake_at=wake_at,
        error=entry.data["error"],
    )


def _undo_not_needed(state: SagaState, step: StepState, entry: Entry) -> StepState:
    return step._replace(status=StepStatus.NOT_NEEDED, wake_at=None, in_doubt=False)


def _marked_done(state: SagaState, step: StepState, entry: Entry) -> StepState:
    return step._replace(
        status=StepStatus.DONE_BY_HAND,
        sent=False,
        in_doubt=False,
        wake_at=None,
        error=None,
    )


def _late_reply(state: SagaState, step: StepState, entry: Entry) -> StepState:
    """A late result never advances the saga; it only makes sure that the effect is undone."""
    if entry.data["outcome"] not in ("succeeded", "unknown"):
        return step
    if entry.data["direction"] == Direction.BACKWARD:
        undone = entry.data["outcome"] == "succeeded" and step.status in (
            StepStatus.COMPENSATING,
            StepStatus.COMPENSATION_FAILED,
        )
        if undone and entry.data["attempt"] > step.undo_settled:
            # A newer attempt may be in the air: its number is used up all the same.
            attempt = max(step.undo_attempt, entry.data["attempt"])
            return _undo_succeeded(state, step, entry)._replace(undo_attempt=attempt)
        return step
    if entry.data["attempt"] > step.settled and step.status in (
        StepStatus.PENDING,
        StepStatus.FAILED,
        StepStatus.UNKNOWN,
        StepStatus.SKIPPED,
    ):
        return step._replace(
            order=_order(state, step),
            attempt=max(step.attempt, entry.data["attempt"]),
            in_doubt=True,
            output=entry.data.get("output"),
        )
    return step


def grant(step: StepState, *, edited: bool = False) -> StepState:
    """Give a failed step a new budget, and a new key where the old one is known to be spent."""
    refused = 1 if step.error is not None and not step.error.get("retryable", True) else 0
    if step.status == StepStatus.COMPENSATION_FAILED:
        return step._replace(
            status=StepStatus.COMPENSATING,
            spent_before=step.undo_attempt,
            undo_generation=step.undo_generation + refused,
            failing_since=None,
            wake_at=None,
        )
    # In doubt, only the old key can find out whether the first call took effect.
    renewed = 1 if edited or (refused and not step.in_doubt) else 0
    return step._replace(
        status=StepStatus.PENDING,
        spent_before=step.attempt,
        generation=step.generation + renewed,
        failing_since=None,
        wake_at=None,
    )


def leave_forwards(step: StepState) -> StepState:
    """Turn a step round: from here on its budget is that of its undo."""
    if step.status == StepStatus.SUCCEEDED and not step.undo_attempt:
        # Nothing of a budget is left in it.
        return step
    step = step._replace(
        spent_before=step.undo_attempt, failing_since=None, wake_at=None, blocked=None
    )
    if step.status != StepStatus.WAITING:
        return step
    if step.waits_for in IDLE_WAITS:
        return step._replace(status=StepStatus.NOT_NEEDED)
    # The saga that it has started goes on until it is told to stop.
    return step._replace(status=StepStatus.UNKNOWN, in_doubt=True)


def begin_anew(step: StepState) -> StepState:
    """Forget what a step has come to, but not the keys and attempts that are used up."""
    return StepState(
        attempt=step.attempt,
        undo_attempt=step.undo_attempt,
        spent_before=step.attempt,
        generation=step.generation + (1 if step.attempt else 0),
        undo_generation=step.undo_generation + (1 if step.undo_attempt else 0),
        settled=step.attempt,
        undo_settled=step.undo_attempt,
    )


STEP_CHANGES: dict[Kind, Callable[[SagaState, StepState, Entry], StepState]] = {
    Kind.STEP_SENT: _step_sent,
    Kind.STEP_WAITING: _step_waiting,
    Kind.STEP_SUCCEEDED: _step_succeeded,
    Kind.STEP_FAILED: _step_failed,
    Kind.STEP_UNKNOWN: _step_failed,
    Kind.STEP_PROBED: _step_probed,
    Kind.STEP_SKIPPED: _step_skipped,
    Kind.SIGNAL_TAKEN: _step_succeeded,
    Kind.LOCK_AWAITED: _lock_awaited,
    Kind.UNDO_SENT: _undo_sent,
    Kind.UNDO_WAITING: _undo_waiting,
    Kind.UNDO_SUCCEEDED: _undo_succeeded,
    Kind.UNDO_FAILED: _undo_failed,
    Kind.UNDO_UNKNOWN: _undo_failed,
    Kind.UNDO_NOT_NEEDED: _undo_not_needed,
    Kind.MARKED_DONE: _marked_done,
    Kind.APPROVED: _approved,
    Kind.REJECTED: _rejected,
    Kind.LATE_REPLY: _late_reply,
}
