"""What results mean for a saga: forwards, backwards, and at its turning points."""

from __future__ import annotations

import pytest

from sagas.core import happenings as h
from sagas.core.definition import Kind, OnFailure, OnUnknown
from sagas.core.moves import NOTHING, Nothing, Run, Wait
from sagas.core.state import Direction, StepStatus
from sagas.core.verbs import Verb
from tests.builders import QUICK, make_definition, make_step
from tests.sagas.stories import BEGIN, Story


def of(names: str = "ABC", **overrides: object) -> Story:
    return Story(make_definition(*(make_step(name) for name in names), **overrides))


def with_pivot(**overrides: object) -> Story:
    return Story(
        make_definition(
            make_step("A"),
            make_step("Pivot", kind=Kind.PIVOT, compensation=None),
            make_step("C", kind=Kind.RETRIABLE, compensation=None),
            **overrides,
        )
    )


def test_steps_run_one_after_the_other() -> None:
    story = of("AB")

    assert story.move == Run(0, Direction.FORWARD, 1, generation=0)
    story.succeed()
    assert story.move == Run(1, Direction.FORWARD, 1, generation=0)
    story.succeed()

    assert story.state.status == "completed"
    assert story.move is NOTHING


def test_while_a_call_is_in_the_air_nothing_else_begins() -> None:
    story = of().send()

    assert isinstance(story.move, Nothing)


def test_what_succeeded_is_undone_in_reverse_order_of_start() -> None:
    story = of().succeed().succeed().refuse()

    assert story.undo_names() == ["B", "A"]
    story.succeed()
    assert story.move == Run(0, Direction.BACKWARD, 1, generation=0)
    story.succeed()

    assert story.state.status == "compensated"
    assert story.undo_names() == []


def test_the_first_step_failing_ends_the_saga_with_nothing_to_undo() -> None:
    """Edge case 29."""
    story = of().refuse()

    assert story.kinds == ["step_failed A", "compensation_began", "saga_compensated"]


def test_compensation_begins_once_however_the_failure_is_told() -> None:
    """Edge case 31."""
    story = of().succeed().send()
    run = story.run()
    story.refuse()

    again = h.Failed(story.now, run.step, run.direction, run.attempt, {"retryable": False})
    story.happens(again).happens(again)

    assert story.kinds.count("compensation_began") == 1
    assert story.kinds.count("late_reply B") == 2


def test_a_step_without_an_undo_is_settled_without_a_call() -> None:
    definition = make_definition(make_step("A"), make_step("B", compensation=None), make_step("C"))
    story = Story(definition).succeed().succeed().refuse()

    assert story.step("B").status == StepStatus.NOT_NEEDED
    assert story.move == Run(0, Direction.BACKWARD, 1, generation=0)


def test_a_failure_after_the_pivot_parks_the_saga() -> None:
    """Edge case 30."""
    story = with_pivot().succeed().succeed().refuse()

    assert story.state.status == "failed"
    assert not story.state.backward
    assert story.state.cause is not None
    assert story.state.cause["step"] == "C"


def test_a_pivot_that_said_no_has_not_been_passed() -> None:
    story = with_pivot().succeed().refuse()

    assert story.state.status == "compensating"


def test_a_pivot_of_unknown_outcome_may_have_been_passed() -> None:
    """Edge case 30."""
    story = with_pivot().succeed().send().lose_answer()

    assert story.state.status == "failed"


def test_a_definition_that_parks_waits_for_the_operator_with_its_effects() -> None:
    story = of(on_failure=OnFailure.PARK).succeed().refuse()

    assert story.state.status == "failed"
    assert story.kinds[-1] == "saga_failed"
    assert story.undo_names() == ["A"]


def test_the_deadline_undoes_a_saga_before_its_next_step() -> None:
    story = of(timeout_s=60.0).succeed()
    assert story.state.deadline == BEGIN + 60

    story.now += 61
    story.time_out()

    assert story.state.status == "compensating"
    assert story.state.cause is not None
    assert story.state.cause["class"] == "SagaTimeout"


def test_a_pause_between_attempts_ends_with_the_deadline() -> None:
    definition = make_definition(make_step("A", retry=QUICK._replace(initial_s=40, cap_s=40)))
    story = Story(definition._replace(timeout_s=30.0)).fail()

    assert story.move == Wait(BEGIN + 30)


def test_the_deadline_lets_a_call_in_the_air_answer_first() -> None:
    story = of(timeout_s=60.0).send()
    story.now += 100

    assert isinstance(story.move, Nothing)
    story.succeed()
    story.time_out()

    assert story.undo_names() == ["A"]


def test_the_deadline_parks_a_saga_that_passed_its_pivot() -> None:
    story = with_pivot(timeout_s=60.0).succeed().succeed()
    story.now += 61

    story.time_out()

    assert story.state.status == "failed"


def test_a_saga_that_its_deadline_stopped_goes_on_when_it_is_retried() -> None:
    story = with_pivot(timeout_s=60.0).succeed().succeed()
    story.now += 61
    story.time_out()

    story.order(Verb.RETRY)
    assert story.move == Run(2, Direction.FORWARD, 1, generation=0)
    story.succeed()

    assert story.state.status == "completed"


def test_no_deadline_stops_an_undo() -> None:
    story = of(timeout_s=60.0).succeed().refuse()
    story.now += 1_000

    assert story.move == Run(0, Direction.BACKWARD, 1, generation=0)


def test_a_spent_undo_stops_the_saga_after_the_other_undos() -> None:
    """Edge case 18."""
    story = of().succeed().succeed().refuse()

    story.refuse()
    assert story.state.status == "compensating"
    story.succeed()

    assert story.state.status == "failed"
    assert story.state.cause is not None
    assert story.state.cause["step"] == "B"
    assert story.step("A").status == StepStatus.COMPENSATED


def test_an_accepted_command_waits_for_its_reply() -> None:
    story = of().send().accept()

    assert story.step("A").status == StepStatus.WAITING
    assert story.move == Wait(BEGIN + 30)
    story.succeed({"seat": "4A"})

    assert story.step("A").output == {"seat": "4A"}
    assert story.move == Run(1, Direction.FORWARD, 1, generation=0)


def test_a_reply_that_does_not_come_leaves_the_outcome_unknown() -> None:
    story = of().send().accept().wait().time_out()

    assert story.kinds[2] == "step_unknown A"
    assert story.undo_names() == ["A"]


def test_an_undo_whose_reply_does_not_come_spends_its_budget() -> None:
    """Edge case 18."""
    story = of("AB").succeed().refuse()

    for _ in range(QUICK.attempts):
        story.send().accept().wait().time_out()
        if isinstance(story.move, Wait):
            story.wait()

    assert story.kinds.count("undo_unknown A") == QUICK.attempts
    assert story.state.status == "failed"


def test_an_undo_waits_for_its_reply_as_long_as_the_step_says() -> None:
    story = of("AB").succeed().refuse().send().accept()

    assert story.move == Wait(story.now + 30)
    story.succeed()

    assert story.state.status == "compensated"


def test_a_lost_worker_leaves_its_call_unknown() -> None:
    """Edge case 1."""
    story = Story(make_definition(make_step("A", retry=QUICK))).send()

    story.flying = None
    story.happens(h.LeaseLost(story.now)).wait()

    assert story.step("A").error is not None
    assert story.step("A").error["class"] == "WorkerLost"
    assert story.move == Run(0, Direction.FORWARD, 2, generation=0)


def test_a_lost_worker_leaves_its_undo_unknown_and_it_is_repeated() -> None:
    story = of("AB").succeed().refuse().send()

    story.flying = None
    story.happens(h.LeaseLost(story.now)).wait()

    assert story.kinds[-1] == "undo_unknown A"
    assert story.move == Run(0, Direction.BACKWARD, 2, generation=0)


@pytest.mark.parametrize("policy", list(OnUnknown))
def test_an_undo_of_unknown_outcome_is_repeated_whatever_the_step_says(policy: OnUnknown) -> None:
    story = Story(make_definition(make_step("A", on_unknown=policy), make_step("B")))
    story.succeed().refuse().send().lose_answer().wait()

    assert story.move == Run(0, Direction.BACKWARD, 2, generation=0)
