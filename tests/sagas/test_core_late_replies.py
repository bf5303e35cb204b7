"""Results that come when nobody waits for them any more: kept, and never an advance."""

from __future__ import annotations

from sagas.core import happenings as h
from sagas.core.definition import OnFailure
from sagas.core.moves import Run
from sagas.core.state import Direction, StepStatus
from sagas.core.verbs import Verb
from tests.builders import QUICK, make_definition, make_step
from tests.sagas.stories import Story, an_error

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD


def of(names: str = "ABC", **overrides: object) -> Story:
    return Story(make_definition(*(make_step(name) for name in names), **overrides))


def success(story: Story, step: int, direction: Direction = FORWARD, attempt: int = 1) -> None:
    story.happens(h.Succeeded(story.now, step, direction, attempt, {"late": True}))


def test_a_success_after_the_timeout_is_kept_and_the_call_repeated() -> None:
    """Edge case 3."""
    definition = make_definition(make_step("A", retry=QUICK), make_step("B"))
    story = Story(definition).send().accept().wait().time_out()

    success(story, 0)

    assert story.kinds[-1] == "late_reply A"
    assert story.step("A").status == StepStatus.UNKNOWN
    story.wait()
    assert story.move == Run(0, FORWARD, 2, generation=0)


def test_a_success_after_the_last_timeout_belongs_to_what_is_undone() -> None:
    """Edge case 3."""
    story = of("AB").send().accept().wait().time_out()
    assert story.state.status == "compensating"

    success(story, 0)

    assert story.kinds[-1] == "late_reply A"
    assert story.undo_names() == ["A"]


def test_a_success_after_compensation_began_is_undone_first() -> None:
    """Edge case 4."""
    story = of().succeed().succeed().fail()
    assert story.undo_names() == ["B", "A"]

    success(story, 2)

    assert story.undo_names() == ["C", "B", "A"]
    assert story.move == Run(2, BACKWARD, 1, generation=0)


def test_a_success_after_the_saga_was_undone_opens_it_again() -> None:
    """Edge case 4."""
    story = of().fail()
    assert story.state.status == "compensated"

    success(story, 0)
    assert story.state.status == "compensating"
    story.succeed()

    assert story.state.status == "compensated"
    assert story.step("A").status == StepStatus.COMPENSATED


def test_a_late_success_of_a_parked_saga_puts_the_step_in_doubt() -> None:
    story = of(on_failure=OnFailure.PARK).fail()

    success(story, 0)

    assert story.state.status == "failed"
    assert story.undo_names() == ["A"]
    story.order(Verb.RETRY)
    assert story.move == Run(0, FORWARD, 2, generation=0)


def test_a_late_failure_changes_nothing_but_the_journal() -> None:
    story = of().succeed().refuse()
    before = story.state

    story.happens(h.Failed(story.now, 1, FORWARD, 1, an_error()))

    assert story.kinds[-1] == "late_reply B"
    assert story.state == before._replace(version=before.version + 1)


def test_a_second_success_of_a_step_changes_nothing_but_the_journal() -> None:
    """Edge case 8."""
    story = of().succeed({"first": True})
    before = story.state

    success(story, 0)

    assert story.state == before._replace(version=before.version + 1)


def test_an_answer_of_an_older_attempt_never_counts_for_the_newer_one() -> None:
    """Edge case 3."""
    story = Story(make_definition(make_step("A", retry=QUICK), make_step("B")))
    story.send().lose_answer().wait().send()

    success(story, 0, attempt=1)

    assert story.step("A").status == StepStatus.RUNNING
    assert story.kinds[-1] == "late_reply A"
    story.succeed()
    assert story.step("A").status == StepStatus.SUCCEEDED


def test_a_late_success_of_a_failed_undo_settles_it() -> None:
    story = of("AB").succeed().refuse().refuse()
    assert story.state.status == "failed"

    success(story, 0, BACKWARD)

    assert story.step("A").status == StepStatus.COMPENSATED
    assert story.state.status == "compensated"


def test_a_late_success_of_an_undo_forgets_no_attempt_that_was_made_since() -> None:
    """Else the answer to the newer one would be that of a call nobody has made, and its number
    would be given out again after a rewind."""
    story = of("AB").succeed().refuse().send().lose_answer().wait().send()

    success(story, 0, BACKWARD, attempt=1)

    assert story.step("A").status == StepStatus.COMPENSATED
    assert story.step("A").undo_attempt == 2


def test_a_late_acceptance_changes_nothing_but_the_journal() -> None:
    story = of().send().succeed()
    before = story.state

    story.happens(h.Accepted(story.now, 0, FORWARD, 1))

    assert story.state == before._replace(version=before.version + 1)


def test_a_late_success_of_a_completed_saga_changes_nothing_but_the_journal() -> None:
    """Edge case 11."""
    story = of("A").succeed()

    success(story, 0)

    assert story.state.status == "completed"
    assert story.step("A").output is None
