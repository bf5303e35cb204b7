"""Participants that do nothing, so that what is measured is the engine.

A worker knows them when it is started with SAGADESK_MODULES=benchmarks.participants_noop.
"""

from sagas.core.definition import Definition, Step
from sagas.participants.calls import BusinessFailure, Call
from sagas.participants.local import action

PARTICIPANT = "Noop"


@action(PARTICIPANT, "do")
def do(call: Call) -> dict[str, int]:
    """Answer with a small output, as a real participant would."""
    return {"number": call.attempt}


@action(PARTICIPANT, "undo")
def undo(call: Call) -> None:
    pass


@action(PARTICIPANT, "refuse")
def refuse(call: Call) -> None:
    raise BusinessFailure("This one always fails.", code="Refused")


def three_steps(name: str, *, last: str = "do") -> Definition:
    """Return a saga of three steps; the last one's action may be `refuse`."""
    actions = ("do", "do", last)
    return Definition(
        name=name,
        steps=tuple(
            Step(f"Step{number}", PARTICIPANT, action_name, compensation="undo")
            for number, action_name in enumerate(actions, 1)
        ),
    )


SUCCEEDING = three_steps("BenchSucceeding")
FAILING = three_steps("BenchFailing", last="refuse")
