"""Participants that play a script and keep what they were told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from sagas.core.definition import Kind, Step
from sagas.core.state import Direction
from sagas.participants.calls import Call
from sagas.testing.answers import Answer, Outcome, from_exception, refuse, repeated, succeed
from sagas.testing.effects import Effects

# A callable gets the call and returns the output or an Answer, or raises, as a local one does.
Script = Answer | Callable[[Call], Any]


class Called(NamedTuple):
    """A call that a participant got. `at` is the simulated time in seconds since the epoch."""

    participant: str
    action: str
    key: str
    input: Any
    attempt: int
    step: str
    direction: Direction
    saga: str
    at: float
    # Not the action itself: it was asked whether that took effect.
    probe: bool = False
    # Of an undo: the key of the action that it takes back.
    undoes: str = ""


class Participants:
    """Plays the scripts by participant and action; without one every call succeeds."""

    def __init__(self) -> None:
        self.calls: list[Called] = []
        self.effects = Effects()
        # Each with how many calls it still answers.
        self._scripts: dict[tuple[str, str], list[tuple[Script, float]]] = {}

    def script(self, participant: str, action: str, answers: tuple[Script, ...]) -> None:
        """Play these answers from now on, one after the other; after them calls succeed."""
        self._scripts[participant, action] = [(answer, _times(answer)) for answer in answers]

    def hear(self, step: Step, call: Call, *, at: float, probe: bool = False) -> None:
        """Keep a call that was sent."""
        self.calls.append(
            Called(
                participant=step.participant,
                action=call.action,
                key=call.idempotency_key,
                input=call.input,
                attempt=call.attempt,
                step=call.step,
                direction=call.direction,
                saga=str(call.saga_id),
                at=at,
                probe=probe,
                undoes=call.undoes,
            )
        )

    def answer(self, step: Step, call: Call) -> Answer:
        """Play the next answer of the script, and do what it says was done."""
        return self.carry_out(step, call, self._next(step.participant, call))

    def carry_out(self, step: Step, call: Call, answer: Answer) -> Answer:
        """Do what the answer says was done; a late action whose undo was faster is refused."""
        if not answer.took_effect:
            return answer
        if call.direction == Direction.BACKWARD:
            self.effects.undo(call)
            return answer
        if leaves_nothing(step):
            return answer
        effect = self.effects.do(step.participant, call, answer.output)
        if effect is None:
            return refuse("Undone", "It was undone before it came.")
        return repeated(answer, effect.output)

    def probe(self, step: Step, call: Call) -> tuple[Answer, bool]:
        """Return the answer to a probe, and whether the participant has the attempt at all.

        Without a script it is the truth.
        """
        if self._scripts.get((step.participant, call.action)):
            return self._next(step.participant, call), True
        effect = self.effects.by_key.get(call.idempotency_key)
        return succeed(effect.output if effect else None), effect is not None

    def _next(self, participant: str, call: Call) -> Answer:
        script = self._scripts.get((participant, call.action))
        if not script:
            return succeed()
        answer, left = script[0]
        if left <= 1:
            script.pop(0)
        else:
            script[0] = (answer, left - 1)
        return answer if isinstance(answer, Answer) else _ask(answer, call)


def leaves_nothing(step: Step) -> bool:
    """Say whether the definition says that there is nothing to undo, so nothing that stands."""
    return step.kind == Kind.COMPENSATABLE and step.compensation is None


def _times(script: Script) -> float:
    times = script.times if isinstance(script, Answer) else None
    return float("inf") if times is None else times


def _ask(function: Callable[[Call], Any], call: Call) -> Answer:
    try:
        said = function(call)
    except AssertionError:
        # The test's own.
        raise
    except Exception as error:
        # Broad on purpose: whatever a participant raises is an answer.
        return from_exception(error)
    return said if isinstance(said, Answer) else succeed(said)


def at_reply(answer: Answer) -> Answer:
    """Return an answer as the reply to an accepted command, which cannot be accepted again."""
    if answer.outcome in (Outcome.ACCEPTED, Outcome.CRASHED):
        raise ValueError(f"A reply cannot be {answer.outcome}.")
    return replace(answer, times=None)
