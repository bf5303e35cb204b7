"""What a scripted participant answers, and whether it did what it was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sagas.core import happenings as h
from sagas.core.state import Direction
from sagas.definitions.durations import read_duration
from sagas.participants.calls import BusinessFailure, describe

Duration = str | float | timedelta


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    FAILED = "failed"
    # Nobody knows whether it was done.
    LOST = "lost"
    ACCEPTED = "accepted"
    # The worker that sent the call is gone before the answer comes.
    CRASHED = "crashed"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of a script; `times` calls get it, then the next one's turn comes (None: all)."""

    outcome: Outcome
    took_effect: bool = False
    times: int | None = None
    # None: what the participant answered the first time, or nothing.
    output: Any = None
    error: dict[str, Any] = field(default_factory=dict)
    retry_after_s: float | None = None
    in_doubt: bool = False
    # What follows an accepted command, and after how long; None: nothing ever does.
    reply: Answer | None = None
    after_s: float = 0.0
    # How often the reply comes.
    copies: int = 1


def succeed(output: Any = None, *, times: int | None = None) -> Answer:
    """Do it and say so."""
    return Answer(outcome=Outcome.SUCCEEDED, took_effect=True, output=output, times=times)


def refuse(code: str = "Refused", message: str = "", *, times: int | None = None) -> Answer:
    """Say no for good: nothing was done, and the call is not tried again."""
    error = describe(code, message or "The participant said no.", retryable=False)
    return Answer(outcome=Outcome.REFUSED, error=error, times=times)


def fail(
    code: str = "Unavailable",
    message: str = "",
    *,
    times: int | None = None,
    took_effect: bool = False,
    in_doubt: bool = False,
    retry_after: Duration | None = None,
) -> Answer:
    """Fail in a way that is worth a retry.

    Nothing was done, as when a connection is refused; `in_doubt` is for answers such as status
    500, which do not say so, and `took_effect` for those that come although it was done.
    """
    return Answer(
        outcome=Outcome.FAILED,
        took_effect=took_effect,
        in_doubt=in_doubt or took_effect,
        error=describe(code, message or "The participant failed.", retryable=True),
        retry_after_s=None if retry_after is None else seconds(retry_after),
        times=times,
    )


def lose_answer(*, took_effect: bool = True, times: int | None = 1) -> Answer:
    """Let the call go out and no answer come back."""
    error = describe("Timeout", "The call was sent, and no answer came.", retryable=True)
    return Answer(outcome=Outcome.LOST, took_effect=took_effect, error=error, times=times)


def crash(*, took_effect: bool = True, times: int | None = 1) -> Answer:
    """Let the worker die between sending the call and recording its answer."""
    return Answer(outcome=Outcome.CRASHED, took_effect=took_effect, times=times)


def accept_then_reply(
    reply: Answer | None = None,
    *,
    after: Duration = "1s",
    copies: int = 1,
    times: int | None = None,
) -> Answer:
    """Accept the command; the reply follows, by default that it was done, maybe several times.

    With `after="never"` no reply follows but what the test itself sends (`run.reply`).
    """
    if after == "never":
        return Answer(outcome=Outcome.ACCEPTED, times=times)
    reply = reply or succeed()
    return Answer(
        outcome=Outcome.ACCEPTED,
        reply=reply,
        after_s=seconds(after),
        copies=copies,
        times=times,
    )


def from_exception(error: Exception) -> Answer:
    """Return what it means that a callable has raised, as for a local callable."""
    if isinstance(error, BusinessFailure):
        return refuse(error.code or type(error).__name__, str(error))
    return fail(type(error).__name__, str(error))


def repeated(answer: Answer, output: Any) -> Answer:
    """Return the answer with the output of the first time where it brings none of its own."""
    return answer if answer.output is not None else replace(answer, output=output)


def to_happening(answer: Answer, at: float, where: tuple[int, Direction, int]) -> h.Result:
    """Return what the answer means for the saga."""
    if answer.outcome == Outcome.SUCCEEDED:
        return h.Succeeded(at, *where, answer.output)
    if answer.outcome == Outcome.ACCEPTED:
        return h.Accepted(at, *where)
    if answer.outcome in (Outcome.LOST, Outcome.CRASHED):
        return h.Unknown(at, *where, answer.error)
    return h.Failed(at, *where, answer.error, answer.retry_after_s, answer.in_doubt)


def to_probed(answer: Answer, at: float, step: int, attempt: int) -> h.Probed:
    """Return what the answer to a probe says of the attempt that was asked for."""
    outcome = {Outcome.SUCCEEDED: "succeeded", Outcome.REFUSED: "failed"}.get(
        answer.outcome, "unknown"
    )
    return h.Probed(at, step, attempt, outcome, answer.output, answer.error)


def seconds(duration: Duration) -> float:
    """Return the seconds of `10s`, a number of seconds, or a timedelta. Raises ValueError."""
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    return read_duration(duration) if isinstance(duration, str) else float(duration)
