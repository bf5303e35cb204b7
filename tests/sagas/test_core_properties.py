"""What holds for every definition and for whatever happens to its sagas."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sagas.core import happenings as h
from sagas.core.definition import Definition, Kind, OnFailure, OnUnknown, RetryPolicy
from sagas.core.moves import NOTHING, Nothing, Run, Wait
from sagas.core.planning import plan
from sagas.core.state import (
    MOVING,
    Direction,
    SagaStatus,
    StepStatus,
    from_json,
    to_json,
)
from sagas.core.verbs import Verb, legal, steps_to_mark
from tests.builders import make_definition, make_step
from tests.sagas.stories import Story, an_error

THOROUGH = settings(
    max_examples=50,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate, Phase.shrink],
)
ENDS = ("saga_completed", "saga_compensated", "saga_failed")
# What lets a saga move again after it had stopped.
# Those that need nothing but a reason.
SIMPLE = (
    Verb.RETRY,
    Verb.COMPENSATE,
    Verb.PAUSE,
    Verb.RESUME,
    Verb.CANCEL,
    Verb.MARK_DONE,
    Verb.RUN_NOW,
)
REOPENS = ("retried", "compensation_ordered", "marked_done", "late_reply")


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """Definitions as the validation lets them pass."""
    count = draw(st.integers(1, 5))
    pivot = draw(st.one_of(st.none(), st.integers(0, count - 1)))
    policies = st.builds(
        RetryPolicy,
        attempts=st.integers(1, 3),
        initial_s=st.sampled_from([0.0, 1.0, 20.0]),
        total_s=st.sampled_from([5.0, 300.0]),
        jitter=st.booleans(),
    )
    steps = []
    for index in range(count):
        kind = Kind.COMPENSATABLE
        if pivot is not None and index >= pivot:
            kind = Kind.PIVOT if index == pivot else Kind.RETRIABLE
        name = f"S{index}"
        steps.append(
            make_step(
                name,
                kind=kind,
                compensation=f"undo{name}" if draw(st.integers(0, 4)) else None,
                retry=draw(policies),
                undo_retry=draw(policies),
                on_unknown=draw(st.sampled_from(OnUnknown)),
            )
        )
    return make_definition(
        *steps,
        on_failure=draw(st.sampled_from(OnFailure)),
        timeout_s=draw(st.sampled_from([None, 60.0])),
    )


class World:
    """A saga and what its participants really did; every number given makes one thing happen."""

    def __init__(self, definition: Definition) -> None:
        self.story = Story(definition)
        self.effects = [False] * len(definition.steps)
        # Attempts whose answer got lost and may still come.
        self.lost: list[tuple[int, Direction, int]] = []

    def happen(self, number: int) -> None:
        number, kind = divmod(number, 8)
        if kind == 0:
            self._order(number)
        elif kind == 1:
            self._hear_late(number)
        else:
            self._go_on(number)
        self.check()

    def _order(self, number: int) -> None:
        story = self.story
        verbs = [verb for verb in legal(story.definition, story.state) if verb in SIMPLE]
        if not verbs:
            return
        verb = verbs[number % len(verbs)]
        if verb != Verb.MARK_DONE:
            story.order(verb)
            return
        index = steps_to_mark(story.definition, story.state)[0]
        self.effects[index] = False
        story.order(verb, story.definition.steps[index].name)

    def _hear_late(self, number: int) -> None:
        if not self.lost:
            return
        where = self.lost.pop(number % len(self.lost))
        backward = where[1] == Direction.BACKWARD
        if self.effects[where[0]] == backward:
            error = an_error(retryable=bool(number % 2))
            self.story.happens(h.Failed(self.story.now, *where, error))
        else:
            self.story.happens(h.Succeeded(self.story.now, *where))

    def _go_on(self, number: int) -> None:
        story = self.story
        if story.flying is None and isinstance(story.move, Run):
            story.send()
        if story.flying is not None:
            self._land(number)
        elif isinstance(story.move, Wait):
            story.wait()
        elif isinstance(story.move, h.ReplyOverdue | h.DeadlinePassed):
            story.time_out()

    def _land(self, number: int) -> None:
        story, run = self.story, self.story.flying
        assert run is not None
        choice, took_effect = number % 7, number % 2 == 0
        where = (run.step, run.direction, run.attempt)
        stands = run.direction == Direction.FORWARD
        if choice in (0, 1, 2):
            self.effects[run.step] = stands
            story.succeed({"attempt": run.attempt})
        elif choice == 3 and self.effects[run.step] != stands:
            # Under the same key nobody refuses what has been done already.
            story.refuse()
        elif choice == 4:
            story.fail(retry_after_s=None if took_effect else 2.0)
        else:
            if took_effect:
                self.effects[run.step] = stands
            self.lost.append(where)
            if choice == 5:
                story.lose_answer()
            elif not story.state.steps[run.step].accepted and choice == 6:
                story.accept()
                story.flying = None
            else:
                story.flying = None
                story.happens(h.LeaseLost(story.now))

    def check(self) -> None:
        story, state = self.story, self.story.state
        assert story.folded() == state
        assert state.version == len(story.journal)
        data = json.loads(json.dumps(to_json(state)))
        assert from_json(data, version=state.version) == state
        if state.status in MOVING and state.paused_at is None:
            in_the_air = any(step.sent for step in state.steps)
            assert isinstance(story.move, Nothing) == in_the_air
        if state.status == SagaStatus.COMPENSATED:
            assert story.undo_names() == []
            assert not any(
                effect and step.compensation and mark.status != StepStatus.DONE_BY_HAND
                for effect, step, mark in zip(
                    self.effects, story.definition.steps, state.steps, strict=True
                )
            )
        if state.status == SagaStatus.COMPLETED:
            assert all(self.effects)
        self._check_ends()

    def _check_ends(self) -> None:
        ended = False
        for kind in (entry.kind.value for entry in self.story.journal):
            if kind in ENDS:
                assert not ended, self.story.kinds
                ended = True
            elif kind in REOPENS:
                ended = False


NUMBERS = st.lists(st.integers(0, 10_000), max_size=60)


@THOROUGH
@given(definitions(), NUMBERS)
def test_whatever_happens_the_journal_tells_all_of_it(
    definition: Definition, numbers: list[int]
) -> None:
    """The fold is the state, ends are ends, and no effect survives a compensation."""
    world = World(definition)

    for number in numbers:
        world.happen(number)


@THOROUGH
@given(definitions(), NUMBERS)
def test_every_saga_comes_to_rest_once_its_participants_behave(
    definition: Definition, numbers: list[int]
) -> None:
    world = World(definition)
    for number in numbers:
        world.happen(number)
    story = world.story
    if story.state.paused_at is not None:
        story.order(Verb.RESUME)

    for _ in range(6 * len(definition.steps)):
        if story.state.status in MOVING:
            world._go_on(0)
            world.check()

    assert story.state.status not in MOVING


@THOROUGH
@given(definitions(), NUMBERS, st.sampled_from([3, 4, 5]))
def test_every_saga_comes_to_rest_when_nothing_succeeds_any_more(
    definition: Definition, numbers: list[int], failure: int
) -> None:
    """Edge case 18."""
    world = World(definition)
    for number in numbers:
        world.happen(number)
    story = world.story
    if story.state.paused_at is not None:
        story.order(Verb.RESUME)

    for _ in range(30 * len(definition.steps)):
        if story.state.status in MOVING:
            world._go_on(failure)
            world.check()

    assert story.state.status not in MOVING


@THOROUGH
@given(definitions(), NUMBERS, st.data())
def test_a_plan_is_what_happens_when_every_call_succeeds(
    definition: Definition, numbers: list[int], data: st.DataObject
) -> None:
    world = World(definition)
    for number in numbers:
        world.happen(number)
    story = world.story
    verbs = [
        verb
        for verb in legal(definition, story.state)
        if verb in SIMPLE and verb not in (Verb.PAUSE, Verb.MARK_DONE)
    ]
    if not verbs:
        return
    verb = data.draw(st.sampled_from(verbs))

    planned = plan(definition, story.state, verb)
    story.order(verb)

    assert [(line.step, line.direction) for line in planned] == run_to_the_end(story)


def run_to_the_end(story: Story) -> list[tuple[str, Direction]]:
    """Let every call succeed, those in the air first; return the calls."""
    calls: list[Any] = []
    story.state = story.state._replace(timeout_s=None, deadline=None)
    while (run := awaited(story)) or story.move is not NOTHING:
        if run is None and isinstance(story.move, Wait):
            story.wait()
            continue
        run = run or story.run()
        calls.append((story.definition.steps[run.step].name, run.direction))
        assert len(calls) <= 2 * len(story.definition.steps), "it never ends"
        story.flying = run
        story.succeed()
    return calls


def awaited(story: Story) -> Run | None:
    """Return the run whose answer or reply the saga waits for."""
    for index, step in enumerate(story.state.steps):
        if step.status in (StepStatus.RUNNING, StepStatus.WAITING):
            return Run(index, Direction.FORWARD, step.attempt, step.generation)
        if step.status == StepStatus.COMPENSATING and (step.sent or step.accepted):
            return Run(index, Direction.BACKWARD, step.undo_attempt, step.undo_generation)
    return None
