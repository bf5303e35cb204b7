"""What a plan says of steps that call nobody, of what is awaited, and of conditions."""

from __future__ import annotations

import pytest

from sagas.core import happenings as h
from sagas.core.definition import Step, StepType
from sagas.core.planning import plan
from sagas.core.state import Direction, WaitsFor
from sagas.core.verbs import Verb
from tests.builders import QUICK, make_definition, make_step
from tests.sagas.stories import Story

TIMER = Step("Cool", "", "wait", type=StepType.TIMER, wait_s=60.0)
SIGNAL = Step("Pickup", "", "signal", type=StepType.SIGNAL, signal="picked_up")
APPROVAL = Step("Check", "", "approve", type=StepType.APPROVAL)
CHILD = Step("Ship", "shipping", "start", "compensate", type=StepType.SAGA)


def notes(story: Story, verb: Verb) -> list[tuple[str, str]]:
    return [(line.step, line.note) for line in plan(story.definition, story.state, verb)]


def paused(story: Story) -> Story:
    return story.order(Verb.PAUSE)


@pytest.mark.parametrize(
    ("step", "what", "note"),
    [
        (TIMER, WaitsFor.TIME, "waits for its time"),
        (SIGNAL, WaitsFor.SIGNAL, "waits for the signal picked_up"),
        (APPROVAL, WaitsFor.APPROVAL, "waits for a decision"),
        (CHILD, WaitsFor.SAGA, "waits for the end of its saga"),
    ],
)
def test_a_plan_says_what_is_waited_for_now_and_later(
    step: Step, what: WaitsFor, note: str
) -> None:
    story = Story(make_definition(step, make_step("A"), step._replace(name="Again")))
    before = notes(paused(story), Verb.RESUME)
    story.order(Verb.RESUME)
    story.happens(h.Waiting(story.now, 0, Direction.FORWARD, 1, what, story.now + 60))

    assert before == [(step.name, note), ("A", ""), ("Again", note)]
    assert notes(paused(story), Verb.RESUME) == before


def test_a_plan_tells_a_call_in_flight_from_a_reply_that_is_awaited() -> None:
    story = Story(make_definition())
    story.send()
    assert notes(story, Verb.CANCEL) == [("A", "in flight"), ("A", "")]

    story.accept()
    assert notes(story, Verb.CANCEL) == [("A", "waits for the reply"), ("A", "")]


def test_a_plan_names_the_lock_that_a_step_waits_for() -> None:
    story = Story(make_definition(make_step("A"), locks=("order:7",)))
    story.happens(h.Blocked(story.now, 0, "order:7", "somebody"))

    assert notes(paused(story), Verb.RESUME) == [("A", "waits for the lock order:7")]


def test_a_plan_names_a_condition_beside_the_wait() -> None:
    story = Story(make_definition(APPROVAL._replace(when="input.amount > `9`")))

    assert notes(paused(story), Verb.RESUME) == [
        ("Check", "only if input.amount > `9`; waits for a decision")
    ]


def test_a_plan_counts_attempts() -> None:
    story = Story(make_definition(make_step("A", retry=QUICK)))
    story.fail()

    assert notes(story, Verb.RUN_NOW) == [("A", "attempt 2")]
