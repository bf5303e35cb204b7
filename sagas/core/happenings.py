"""What can happen to a saga. `at` is always the database's clock, in seconds since the epoch."""

from __future__ import annotations

from typing import Any, NamedTuple

from sagas.core.definition import Definition
from sagas.core.state import Direction, SagaStatus, WaitsFor


class Started(NamedTuple):
    at: float
    # The saga whose step has started this one: {"saga", "step"}.
    parent: dict[str, str] | None = None
    # It begins at this time, not at once.
    starts_at: float | None = None


class StartDue(NamedTuple):
    """The time has come at which a saga was to begin."""

    at: float


class Sent(NamedTuple):
    """A call is about to leave this process; recorded before it does."""

    at: float
    step: int
    direction: Direction
    attempt: int


class Succeeded(NamedTuple):
    at: float
    step: int
    direction: Direction
    attempt: int
    output: Any = None


class Failed(NamedTuple):
    """The participant said no, or the call never reached it: no effect, unless `in_doubt`."""

    at: float
    step: int
    direction: Direction
    attempt: int
    error: dict[str, Any]
    retry_after_s: float | None = None
    in_doubt: bool = False


class Unknown(NamedTuple):
    """The call was sent and no answer is known."""

    at: float
    step: int
    direction: Direction
    attempt: int
    error: dict[str, Any]


class Accepted(NamedTuple):
    """The participant took the command; its reply follows."""

    at: float
    step: int
    direction: Direction
    attempt: int


class Skipped(NamedTuple):
    """The step's condition does not hold."""

    at: float
    step: int


class Waiting(NamedTuple):
    """The step has begun to wait for something that is no participant's reply.

    `wake_at` is when that has been too long, or for a timer when it is over; None: never.
    """

    at: float
    step: int
    direction: Direction
    attempt: int
    waits_for: WaitsFor
    wake_at: float | None
    child: str = ""


class Blocked(NamedTuple):
    """Another saga holds a lock that the step wants."""

    at: float
    step: int
    lock: str
    holder: str


class LockReleased(NamedTuple):
    """An operator has given back a lock of it."""

    at: float
    lock: str
    actor: str
    reason: str


class Probed(NamedTuple):
    """The participant was asked whether an attempt took effect.

    `outcome` is succeeded, failed (a definite no), absent (never arrived) or unknown.
    """

    at: float
    step: int
    attempt: int
    outcome: str
    output: Any = None
    error: dict[str, Any] = {}


class Signalled(NamedTuple):
    at: float
    name: str
    data: Any = None
    # Who sent it, and its message id, as far as they are known.
    actor: str = ""
    message_id: str = ""


class ChildEnded(NamedTuple):
    """The saga that a step has started came to its end, or was found to have done so."""

    at: float
    step: int
    child: str
    status: SagaStatus
    outputs: dict[str, Any] | None = None
    cause: dict[str, Any] | None = None


class ReplyOverdue(NamedTuple):
    """What a step waited for did not come in time; for a timer, the time is over."""

    at: float
    step: int


class LeaseLost(NamedTuple):
    """Whoever held the saga is gone; what it had sent has no known outcome."""

    at: float


class DeadlinePassed(NamedTuple):
    at: float


class Ordered(NamedTuple):
    """An operator's verb (core.verbs), already checked to be legal.

    What a verb needs beside actor and reason: mark_done a step and evidence; skip a step and
    maybe an `output`; approve, reject and rewind a step; compensate maybe `steps` in the order in
    which they are undone; retry maybe an `edited` input, as a tuple of one; move a `target`.
    """

    at: float
    verb: str
    actor: str
    reason: str
    step: int | None = None
    evidence: str = ""
    steps: tuple[int, ...] | None = None
    output: Any = None
    edited: tuple[Any] | None = None
    target: Definition | None = None


Result = Succeeded | Failed | Unknown | Accepted | Waiting
Happening = (
    Started
    | StartDue
    | Sent
    | Result
    | Skipped
    | Blocked
    | LockReleased
    | Probed
    | Signalled
    | ChildEnded
    | ReplyOverdue
    | LeaseLost
    | DeadlinePassed
    | Ordered
)
