"""What one saga's situation is, in plain words: where it stands, why, and what can be done."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from outbox.templatetags.console import duration
from sagas.core.definition import Definition, OnTimeout, Step
from sagas.core.state import SagaState, SagaStatus, StepState, StepStatus, WaitsFor

# A worker that is there takes what is due sooner than this.
OVERDUE_S = 5.0
UNDONE = (StepStatus.COMPENSATED, StepStatus.DONE_BY_HAND, StepStatus.NOT_NEEDED)


class Explanation(NamedTuple):
    """`tone` colours the panel; `headline`, `reason` and `advice` are sentences."""

    tone: str
    headline: str
    reason: str = ""
    advice: str = ""


def explain(definition: Definition, state: SagaState, now: float) -> Explanation:
    """Return what an operator has to know first."""
    if state.paused_at is not None:
        return Explanation(
            "warn",
            _("Paused for %(time)s.") % {"time": duration(max(0.0, now - state.paused_at))},
            _("No new call is made. A call in flight still finishes."),
            _("Resume it to go on where it stood."),
        )
    if state.status == SagaStatus.FAILED:
        return _undo_failed(definition, state) if state.backward else _stopped(definition, state)
    if state.status == SagaStatus.COMPENSATING:
        return _compensating(definition, state, now)
    if state.status == SagaStatus.RUNNING:
        return _running(definition, state, now)
    return _ended(definition, state)


def _stopped(definition: Definition, state: SagaState) -> Explanation:
    name = state.cause.get("step", "") if state.cause else ""
    done = sum(1 for step in state.steps if step.status == StepStatus.SUCCEEDED)
    headline = _("Stopped at step “%(step)s”.") % {"step": name} if name else _("Stopped.")
    if not done:
        advice = _("Retry the step, or compensate to end it: nothing has to be undone.")
        return Explanation("bad", headline, _why(definition, state, name), advice)
    advice = ngettext(
        "Retry the step, or compensate to undo the %(n)d step that is done.",
        "Retry the step, or compensate to undo the %(n)d steps that are done.",
        done,
    ) % {"n": done}
    return Explanation("bad", headline, _why(definition, state, name), advice)


def _undo_failed(definition: Definition, state: SagaState) -> Explanation:
    failed = [
        step.name
        for step, own in zip(definition.steps, state.steps, strict=True)
        if own.status == StepStatus.COMPENSATION_FAILED
    ]
    headline = ngettext(
        "The undo of step “%(steps)s” failed; its effect still stands.",
        "The undo of %(n)d steps failed (%(steps)s); their effects still stand.",
        len(failed),
    ) % {"n": len(failed), "steps": ", ".join(failed)}
    reason = _why(definition, state, failed[0]) if failed else _cause(state)
    advice = _("Retry the undo, or undo it yourself and mark it as done by hand.")
    return Explanation("bad", headline, reason, advice)


def _compensating(definition: Definition, state: SagaState, now: float) -> Explanation:
    undone = sum(1 for step in state.steps if step.status in UNDONE)
    total = sum(1 for step in state.steps if step.order and step.status != StepStatus.FAILED)
    total = max(total, undone)
    headline = ngettext(
        "Being undone: %(done)d of %(total)d step.",
        "Being undone: %(done)d of %(total)d steps.",
        total,
    ) % {"done": undone, "total": total}
    for step, own in zip(definition.steps, state.steps, strict=True):
        if own.status == StepStatus.COMPENSATING and own.failing_since and own.error:
            return Explanation("warn", headline, _undo_again(step.name, own, now), _cause(state))
    return Explanation("undo", headline, _cause(state))


def _undo_again(name: str, own: StepState, now: float) -> str:
    """Say how the undo of a step failed that is tried again, and when, if that is known."""
    words = ngettext(
        "The undo of “%(step)s” failed %(n)d time: %(message)s",
        "The undo of “%(step)s” failed %(n)d times: %(message)s",
        own.undo_attempt,
    )
    if own.wake_at is not None and own.wake_at > now and not own.accepted:
        words = ngettext(
            "The undo of “%(step)s” failed %(n)d time, next attempt in %(time)s: %(message)s",
            "The undo of “%(step)s” failed %(n)d times, next attempt in %(time)s: %(message)s",
            own.undo_attempt,
        )
    error = own.error or {}
    return words % {
        "step": name,
        "n": own.undo_attempt,
        "time": duration(max(0.0, (own.wake_at or now) - now), coarse=True),
        "message": error.get("message") or error.get("class", ""),
    }


def _running(definition: Definition, state: SagaState, now: float) -> Explanation:
    if state.starts_at is not None and now < state.starts_at:
        return Explanation(
            "active",
            _("It starts in %(time)s.")
            % {"time": duration(max(0.0, state.starts_at - now), coarse=True)},
            _("No step has been begun. Until then it can be cancelled without a trace elsewhere."),
        )
    for step, own in zip(definition.steps, state.steps, strict=True):
        if own.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED, *UNDONE):
            continue
        return _at_step(definition, state, step.name, own, now)
    return Explanation("active", _("All steps are done; about to complete."))


def _at_step(
    definition: Definition, state: SagaState, name: str, own: StepState, now: float
) -> Explanation:
    wait = duration(max(0.0, (own.wake_at or now) - now), coarse=True)
    if state.cancelling:
        return Explanation("undo", _("Being cancelled: waiting for the call of “%s”.") % name)
    if own.blocked is not None:
        headline = _("“%(step)s” waits for the lock %(lock)s, which another saga holds.")
        return Explanation("warn", headline % {"step": name, "lock": own.blocked["lock"]})
    if own.status == StepStatus.WAITING:
        step = definition.steps[definition.index_of(name)]
        if own.waits_for != WaitsFor.REPLY:
            return _waits(step, own, wait)
        return Explanation(
            "active",
            _("“%(step)s” is waiting for the reply of %(participant)s.")
            % {"step": name, "participant": step.participant},
            _("It gives up in %(time)s.") % {"time": wait} if own.wake_at else "",
        )
    if own.error is not None and own.status == StepStatus.UNKNOWN:
        headline = _("Nobody knows whether “%(step)s” took effect; next attempt in %(time)s.")
        reason = _why(definition, state, name)
        return Explanation("warn", headline % {"step": name, "time": wait}, reason)
    if own.error is not None and own.status == StepStatus.FAILED:
        return Explanation("warn", _tried_again(name, own, now), _why(definition, state, name))
    if own.status == StepStatus.RUNNING:
        return Explanation("active", _("“%s” is being performed.") % name)
    return Explanation("active", _("“%s” is about to begin.") % name)


def _tried_again(name: str, own: StepState, now: float) -> str:
    wait_s = (own.wake_at or now) - now
    words = ngettext(
        "“%(step)s” failed %(n)d time; next attempt in %(time)s.",
        "“%(step)s” failed %(n)d times; next attempt in %(time)s.",
        own.attempt,
    )
    if wait_s < -OVERDUE_S:
        words = ngettext(
            "“%(step)s” failed %(n)d time; the next attempt is overdue.",
            "“%(step)s” failed %(n)d times; the next attempt is overdue.",
            own.attempt,
        )
    time = duration(max(0.0, wait_s), coarse=True)
    return words % {"step": name, "n": own.attempt, "time": time}


def _waits(step: Step, own: StepState, wait: str) -> Explanation:
    """Say what a step waits for that is no reply, and what then."""
    headlines = {
        WaitsFor.SAGA: _("“%(step)s” has started a saga and waits for its end."),
        WaitsFor.TIME: _("“%(step)s” waits; it goes on in %(time)s."),
        WaitsFor.SIGNAL: _("“%(step)s” waits for the signal %(signal)s."),
        WaitsFor.APPROVAL: _("“%(step)s” waits for somebody’s decision."),
    }
    told = {"step": step.name, "time": wait, "signal": step.signal}
    reason = ""
    if own.wake_at is not None and own.waits_for != WaitsFor.TIME:
        goes_on = step.on_timeout == OnTimeout.CONTINUE
        words = _("It goes on without in %(time)s.") if goes_on else _("It gives up in %(time)s.")
        reason = words % told
    return Explanation("active", headlines[own.waits_for] % told, reason)


def _ended(definition: Definition, state: SagaState) -> Explanation:
    if state.status == SagaStatus.COMPLETED:
        n = len(definition.steps)
        words = ngettext("The step succeeded.", "All %(n)d steps succeeded.", n)
        left_out = sum(1 for step in state.steps if step.status == StepStatus.SKIPPED)
        skipped = ngettext("%(n)d step was skipped.", "%(n)d steps were skipped.", left_out)
        if left_out:
            return Explanation("good", _("Completed."), skipped % {"n": left_out})
        return Explanation("good", words % {"n": n})
    if state.status == SagaStatus.COMPENSATED:
        return Explanation("undone", _("Everything that was done has been undone."), _cause(state))
    return Explanation("quiet", _("Abandoned: the effects that stand were left."), _cause(state))


def _cause(state: SagaState) -> str:
    if not state.cause:
        return ""
    if not state.cause.get("step"):
        return str(state.cause.get("message", ""))
    return _("Because step “%(step)s” failed: %(message)s") % {
        "step": state.cause["step"],
        "message": state.cause.get("message") or state.cause.get("class", ""),
    }


def _why(definition: Definition, state: SagaState, name: str) -> str:
    """Say who answered what, and how often it was asked."""
    error = None
    attempts = 0
    participant = ""
    for step, own in zip(definition.steps, state.steps, strict=True):
        if step.name == name:
            error, participant = own.error, step.participant
            backward = own.status == StepStatus.COMPENSATION_FAILED
            attempts = own.undo_attempt if backward else own.attempt
    error = error or state.cause
    if error is None:
        return ""
    words = ngettext(
        "%(participant)s: %(class)s — %(message)s (%(n)d attempt)",
        "%(participant)s: %(class)s — %(message)s (%(n)d attempts)",
        attempts,
    )
    return words % {
        "participant": participant or name,
        "class": error.get("class", ""),
        "message": error.get("message", ""),
        "n": attempts,
    }
