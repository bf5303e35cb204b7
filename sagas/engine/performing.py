"""Performing one step: a local callable here and now, or what an HTTP answer means."""

from __future__ import annotations

import logging
import traceback
from typing import Any, NamedTuple

from django.conf import settings

from sagas.core import happenings as h
from sagas.core.moves import Run
from sagas.engine.held import Held
from sagas.participants.answers import Answer
from sagas.participants.batches import BatchAction
from sagas.participants.calls import BusinessFailure, Call, describe
from sagas.participants.local import Action, Savepoints
from sagas.storable import NotStorableError, encode_storable

logger = logging.getLogger(__name__)

PROBE_OUTCOMES = ("succeeded", "failed", "absent", "unknown")


class Performed(NamedTuple):
    """What a local callable came to, and whether it used the database."""

    happening: h.Result | h.Probed
    touched: bool


class _InvalidOutput(BusinessFailure):
    """The callable returned what cannot be stored."""


def perform_local(
    action: Action, held: Held, run: Run, *, now: float, savepoints: Savepoints
) -> Performed:
    """Run a callable in the batch's transaction; what it wrote is undone when it raises."""
    result = _perform(action, held, run, now=now, savepoints=savepoints)
    happening = as_probed(result) if run.probe else result
    return Performed(happening, savepoints.touched)


def perform_batch(
    action: BatchAction, runs: list[tuple[Held, Run]], *, now: float, savepoints: Savepoints
) -> list[Performed]:
    """Run a callable for many sagas under one savepoint; each gets a result of its own.

    If it fails as a whole, or an output cannot be kept, all that it wrote is undone and each
    command is tried alone: one bad command must not fail the others.
    """
    try:
        if len(runs) > 1:
            return _perform_together(action, runs, now=now, savepoints=savepoints)
    except Exception as failure:
        # Broad on purpose, as for a single call.
        savepoints.undo()
        logger.info("A batch of %s is tried one by one:\n%s", len(runs), _last_frames(failure))
    return [perform_local(action, held, run, now=now, savepoints=savepoints) for held, run in runs]


def _perform_together(
    action: BatchAction, runs: list[tuple[Held, Run]], *, now: float, savepoints: Savepoints
) -> list[Performed]:
    savepoints.begin()
    calls = [held.call(run, now=now) for held, run in runs]
    outcomes = action.take(calls)
    for outcome in outcomes:
        if outcome is not None and not isinstance(outcome, Exception):
            _check_output(outcome)
    savepoints.keep()
    results = []
    for (_, run), call, outcome in zip(runs, calls, outcomes, strict=True):
        where = (run.step, run.direction, run.attempt)
        result: h.Result = h.Succeeded(now, *where, outcome)
        if isinstance(outcome, Exception):
            result = h.Failed(now, *where, _error_of(outcome, call))
        happening = as_probed(result) if run.probe else result
        results.append(Performed(happening, savepoints.touched))
    return results


def _perform(
    action: Action, held: Held, run: Run, *, now: float, savepoints: Savepoints
) -> h.Result:
    call = held.call(run, now=now)
    where = (run.step, run.direction, run.attempt)
    savepoints.begin()
    try:
        output = action(call)
        if output is not None:
            _check_output(output)
        savepoints.keep()
    except Exception as failure:
        # Broad on purpose: a callable is the user's code, and one that fails in any way must
        # not stop the others of its batch.
        savepoints.undo()
        return h.Failed(now, *where, _error_of(failure, call))
    return h.Succeeded(now, *where, output)


def _error_of(failure: Exception, call: Call) -> dict[str, Any]:
    if isinstance(failure, BusinessFailure):
        return describe(failure.code or type(failure).__name__, str(failure), retryable=False)
    error = describe(type(failure).__name__, str(failure), retryable=True)
    error["trace"] = _last_frames(failure)
    # Not the exception itself: its text may hold what no log can be written with.
    logger.info(
        "%s of saga %s failed: %s\n%s",
        call.action,
        call.saga_id,
        error["message"],
        error["trace"],
    )
    return error


def _check_output(output: Any) -> None:
    try:
        encode_storable(output, limit=settings.SAGAS_MAX_OUTPUT_BYTES)
    except NotStorableError as error:
        raise _InvalidOutput(f"What it returned {error}.") from error


def _last_frames(failure: Exception) -> str:
    """Return the end of the traceback: the user's own frames, not the engine's."""
    return "".join(traceback.format_tb(failure.__traceback__)[-5:])[-4_000:]


def happening_of(answer: Answer, run: Run, *, at: float) -> h.Result | h.Probed:
    """Return what an HTTP answer means for the saga."""
    result = _result_of(answer, run, at=at)
    return as_probed(result) if run.probe else result


def as_probed(result: h.Result) -> h.Probed:
    """Return what the answer to a probe says of the attempt that was asked for.

    The participant answers {"outcome": "succeeded" | "failed" | "absent" | "unknown", "output",
    "error": {"code", "message"}}, or that it has not found it (404).
    """
    where = (result.at, result.step, result.attempt)
    if isinstance(result, h.Failed) and result.error["class"] == "HTTP404":
        return h.Probed(*where, "absent")
    if isinstance(result, h.Failed | h.Unknown):
        return h.Probed(*where, "unknown", error=result.error)
    told = result.output if isinstance(result, h.Succeeded) else None
    if not isinstance(told, dict) or told.get("outcome") not in PROBE_OUTCOMES:
        message = f"The answer to a probe needs an outcome: {', '.join(PROBE_OUTCOMES)}."
        return h.Probed(*where, "unknown", error=describe("InvalidAnswer", message, retryable=True))
    error: dict[str, Any] = {}
    if told["outcome"] == "failed":
        said = told.get("error")
        said = said if isinstance(said, dict) else {}
        error = describe(
            str(said.get("code") or "Refused"),
            str(said.get("message") or "The participant reported a failure."),
            retryable=False,
        )
    return h.Probed(*where, told["outcome"], told.get("output"), error)


def _result_of(answer: Answer, run: Run, *, at: float) -> h.Result:
    where = (run.step, run.direction, run.attempt)
    if answer.outcome == "succeeded":
        return h.Succeeded(at, *where, answer.output)
    if answer.outcome == "accepted":
        return h.Accepted(at, *where)
    if answer.outcome == "unknown":
        return h.Unknown(at, *where, answer.error)
    return h.Failed(at, *where, answer.error, answer.retry_after_s, answer.in_doubt)
