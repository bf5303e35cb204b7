"""When a failed attempt is repeated, and when its budget is spent."""

from __future__ import annotations

from sagas.core.definition import Definition, OnUnknown, RetryPolicy, Step
from sagas.core.happenings import Failed, Probed, Unknown
from sagas.core.state import Direction, SagaState

# However short a policy's delay: a floor, so that a broken participant is never hit in a hot loop.
FLOOR_S = 0.05
# Asking does nothing, so it is worth more patience than trying again.
PROBE_RETRY = RetryPolicy(attempts=5)


def next_attempt_at(
    definition: Definition, state: SagaState, result: Failed | Unknown
) -> float | None:
    """Return when the next attempt is due (database clock, seconds), or None: no more attempts.

    `Retry-After` lengthens a delay, it never shortens one, and it never outlives the total
    budget of the policy, which counts from the first failure.
    """
    step, step_state = definition.steps[result.step], state.steps[result.step]
    forward = result.direction == Direction.FORWARD
    if not result.error.get("retryable", True) or result.error.get("class") in step.non_retryable:
        return None
    if forward and state.cancelling:
        return None
    if forward and isinstance(result, Unknown) and step.on_unknown != OnUnknown.RETRY:
        return _first_probe_at(step, result)
    policy = step.retry if forward else step.undo_retry
    used = result.attempt - step_state.spent_before
    if used >= policy.attempts:
        return None
    delay = max(policy.delay_s(used), FLOOR_S)
    if isinstance(result, Failed) and result.retry_after_s is not None:
        delay = max(delay, result.retry_after_s)
    since = result.at if step_state.failing_since is None else step_state.failing_since
    at = result.at + delay
    return at if at <= since + policy.total_s else None


def _first_probe_at(step: Step, result: Unknown) -> float | None:
    if step.on_unknown == OnUnknown.PROBE and step.probe:
        return result.at + max(PROBE_RETRY.delay_s(1), FLOOR_S)
    return None


def after_probe_at(definition: Definition, state: SagaState, probed: Probed) -> float | None:
    """Return when to go on after a probe that found no success; None: for good.

    What never arrived is sent again if the budget has an attempt left. Where nobody knows, it is
    asked again, five times in all.
    """
    step, step_state = definition.steps[probed.step], state.steps[probed.step]
    if probed.outcome == "absent":
        used = probed.attempt - step_state.spent_before
        return probed.at + FLOOR_S if used < step.retry.attempts else None
    asked = step_state.probes + 1
    if probed.outcome == "failed" or asked >= PROBE_RETRY.attempts:
        return None
    return probed.at + max(PROBE_RETRY.delay_s(asked + 1), FLOOR_S)
