"""When the core tries again, and when a budget is spent."""

from __future__ import annotations

from typing import Any

import pytest

from sagas.core.definition import OnUnknown, RetryPolicy
from sagas.core.moves import Run, Wait
from sagas.core.retrying import FLOOR_S
from sagas.core.state import Direction, StepStatus
from sagas.core.verbs import Verb
from tests.builders import make_definition, make_step
from tests.sagas.stories import BEGIN, Story

STEADY: dict[str, Any] = {"attempts": 3, "initial_s": 1.0, "jitter": False}


def of(policy: RetryPolicy, **overrides: Any) -> Story:
    return Story(make_definition(make_step("A", retry=policy, **overrides), make_step("B")))


def test_a_step_is_tried_as_often_as_its_policy_says_and_then_given_up() -> None:
    story = of(RetryPolicy(**STEADY))

    story.fail().wait().fail().wait().fail()

    assert story.step("A").attempt == 3
    assert story.state.status == "compensated"


def test_the_pause_grows_by_its_factor_up_to_its_cap() -> None:
    policy = RetryPolicy(attempts=5, initial_s=1.0, factor=3.0, cap_s=5.0, jitter=False)
    story = of(policy)

    pauses = []
    for _ in range(4):
        before = story.now
        story.fail().wait()
        pauses.append(story.now - before)

    assert pauses == [1.0, 3.0, 5.0, 5.0]


def test_a_retry_never_comes_at_once() -> None:
    """Edge case 19."""
    story = of(RetryPolicy(attempts=2, initial_s=0.0, cap_s=0.0, jitter=False))

    story.fail()

    assert story.move == Wait(BEGIN + FLOOR_S)


def test_attempts_are_counted_in_the_journal() -> None:
    """Edge case 19."""
    story = of(RetryPolicy(**STEADY))

    story.fail().wait().fail()

    failed = [entry for entry in story.journal if entry.kind == "step_failed"]
    assert [entry.data["attempt"] for entry in failed] == [1, 2]
    assert story.folded() == story.state


@pytest.mark.parametrize(("asked_s", "pause_s"), [(10.0, 10.0), (0.2, 1.0), (0.0, 1.0)])
def test_retry_after_lengthens_a_pause_and_never_shortens_it(
    asked_s: float, pause_s: float
) -> None:
    story = of(RetryPolicy(**STEADY))

    story.fail(retry_after_s=asked_s)

    assert story.move == Wait(BEGIN + pause_s)


def test_retry_after_beyond_the_total_budget_gives_up_at_once() -> None:
    story = of(RetryPolicy(**STEADY, total_s=60.0))

    story.fail(retry_after_s=61.0)

    assert story.state.status == "compensated"


def test_the_total_budget_counts_from_the_first_failure() -> None:
    story = of(RetryPolicy(attempts=10, initial_s=4.0, factor=1.0, total_s=10.0, jitter=False))

    story.fail().wait().fail().wait()
    assert story.step("A").failing_since == BEGIN
    story.fail()

    assert story.now == BEGIN + 8
    assert story.state.status == "compensated"


def test_jitter_keeps_at_least_half_of_the_pause_and_never_exceeds_it() -> None:
    policy = RetryPolicy(attempts=3, initial_s=8.0)

    delays = {policy.delay_s(1) for _ in range(200)}

    assert all(4.0 <= delay <= 8.0 for delay in delays)
    assert len(delays) > 1


def test_a_definite_no_is_not_tried_again() -> None:
    story = of(RetryPolicy(**STEADY))

    story.refuse()

    assert story.step("A").status == StepStatus.FAILED
    assert story.state.status == "compensated"


def test_an_unknown_outcome_is_tried_again_within_the_same_budget() -> None:
    """Edge case 1."""
    story = of(RetryPolicy(**STEADY))

    story.send().lose_answer()
    assert story.step("A").status == StepStatus.UNKNOWN
    story.wait()

    assert story.move == Run(0, Direction.FORWARD, 2, generation=0)


def test_an_unknown_outcome_whose_budget_is_spent_is_undone() -> None:
    """Edge case 1."""
    story = of(RetryPolicy())

    story.send().lose_answer()

    assert story.state.status == "compensating"
    assert story.undo_names() == ["A"]


def test_an_unknown_outcome_compensates_at_once_where_the_step_says_so() -> None:
    """Edge case 1."""
    story = of(RetryPolicy(**STEADY), on_unknown=OnUnknown.COMPENSATE)

    story.send().lose_answer()

    assert story.move == Run(0, Direction.BACKWARD, 1, generation=0)


def test_an_unknown_outcome_parks_the_saga_where_the_step_says_so() -> None:
    """Edge case 1."""
    story = of(RetryPolicy(**STEADY), on_unknown=OnUnknown.PARK)

    story.send().lose_answer()

    assert story.state.status == "failed"
    assert story.state.cause == {"step": "A", "class": "Broken", "message": "It broke."}
    assert story.undo_names() == ["A"]


def test_a_definite_failure_is_tried_again_where_only_unknown_outcomes_are_not() -> None:
    story = of(RetryPolicy(**STEADY), on_unknown=OnUnknown.PARK)

    story.fail()

    assert story.state.status == "running"


def test_a_passing_failure_after_an_unknown_outcome_leaves_the_step_in_doubt() -> None:
    story = of(RetryPolicy(**STEADY))

    story.send().lose_answer().wait().fail().wait().fail()

    assert story.step("A").in_doubt
    assert story.undo_names() == ["A"]


def test_a_definite_no_after_an_unknown_outcome_settles_the_doubt() -> None:
    story = of(RetryPolicy(**STEADY))

    story.send().lose_answer().wait().refuse()

    assert not story.step("A").in_doubt
    assert story.state.status == "compensated"
    assert "undo_succeeded A" not in story.kinds


def test_a_success_settles_the_doubt() -> None:
    story = of(RetryPolicy(**STEADY))

    story.send().lose_answer().wait().succeed()

    assert not story.step("A").in_doubt


def test_a_failure_that_may_have_taken_effect_belongs_to_what_is_undone() -> None:
    story = of(RetryPolicy())

    story.fail(in_doubt=True)

    assert story.undo_names() == ["A"]


def test_an_undo_has_a_budget_of_its_own() -> None:
    """Edge case 18."""
    twice = RetryPolicy(attempts=2, initial_s=1.0, jitter=False)
    story = Story(make_definition(make_step("A", undo_retry=twice), make_step("B")))

    story.succeed().refuse()
    story.fail().wait().fail()

    assert story.step("A").status == StepStatus.COMPENSATION_FAILED
    assert story.step("A").undo_attempt == 2
    assert story.state.status == "failed"


def test_attempts_of_the_action_do_not_spend_the_budget_of_the_undo() -> None:
    steady = RetryPolicy(**STEADY)
    story = Story(make_definition(make_step("A", retry=steady, undo_retry=steady), make_step("B")))

    story.fail().wait().fail().wait().succeed().refuse()
    story.fail().wait().fail().wait()

    assert story.move == Run(0, Direction.BACKWARD, 3, generation=0)


def test_a_definite_no_to_an_undo_spends_its_budget_at_once() -> None:
    story = of(RetryPolicy())

    story.succeed().refuse().refuse()

    assert story.step("A").status == StepStatus.COMPENSATION_FAILED


def test_time_spent_paused_does_not_spend_the_total_budget() -> None:
    """Edge case 22."""
    story = of(RetryPolicy(attempts=5, initial_s=4.0, factor=1.0, total_s=10.0, jitter=False))

    story.fail().order(Verb.PAUSE)
    story.now += 1_000
    story.order(Verb.RESUME)
    story.wait().fail()

    assert story.state.status == "running"
