"""What operators may do, when, and what follows from it in the core."""

from __future__ import annotations

import pytest

from sagas.core import happenings as h
from sagas.core.definition import Kind, OnFailure, OnUnknown
from sagas.core.moves import NOTHING, Run, Wait, idempotency_key
from sagas.core.state import Direction, StepStatus
from sagas.core.verbs import Verb, legal, steps_to_mark, steps_to_retry, why_not
from tests.builders import QUICK, make_definition, make_step
from tests.sagas.stories import BEGIN, Story


def of(names: str = "ABC", **overrides: object) -> Story:
    return Story(make_definition(*(make_step(name) for name in names), **overrides))


def parked(**overrides: object) -> Story:
    """A saga whose A succeeded and whose B said no."""
    return of(on_failure=OnFailure.PARK, **overrides).succeed().refuse()


def stuck(undos: int = 1) -> Story:
    """A saga whose last step said no and of whose undos the first ones said no, too."""
    story = of().succeed().succeed().refuse()
    for number in range(2):
        story = story.refuse() if number < undos else story.succeed()
    return story


def allowed(story: Story) -> set[str]:
    return set(legal(story.definition, story.state))


def test_every_status_allows_its_own_verbs() -> None:
    assert allowed(of()) == {"pause", "cancel", "move"}
    assert allowed(of().order(Verb.PAUSE)) == {"resume", "cancel", "move"}
    assert allowed(of().succeed().refuse()) == {"pause"}
    stopped = {"retry", "mark_done", "rewind", "move", "abandon"}
    assert allowed(parked()) == stopped | {"compensate", "skip"}
    assert allowed(stuck()) == stopped
    assert allowed(of("A").succeed()) == {"compensate"}
    assert allowed(of().refuse()) == set()


@pytest.mark.parametrize("verb", list(Verb))
def test_a_refusal_says_why(verb: Verb) -> None:
    refusal = why_not(make_definition(), of().refuse().state, verb)

    assert refusal is not None
    assert refusal.endswith(".")


def test_a_pause_lets_the_call_in_the_air_finish_and_starts_nothing_new() -> None:
    """Edge case 22."""
    story = of().send().order(Verb.PAUSE)

    story.succeed()
    assert story.step("A").status == StepStatus.SUCCEEDED
    assert story.move is NOTHING

    story.order(Verb.RESUME)
    assert story.move == Run(1, Direction.FORWARD, 1, generation=0)


def test_a_reply_that_comes_during_a_pause_is_kept() -> None:
    """Edge case 22."""
    story = of().send().accept().order(Verb.PAUSE)
    story.now += 10

    story.succeed()

    assert story.step("A").status == StepStatus.SUCCEEDED
    assert story.move is NOTHING


def test_deadlines_stand_still_during_a_pause() -> None:
    """Edge case 22."""
    story = of(timeout_s=600.0).send().accept().order(Verb.PAUSE)
    story.now += 1_000
    assert story.move is NOTHING

    story.order(Verb.RESUME)

    assert story.state.deadline == BEGIN + 1_600
    assert story.move == Wait(BEGIN + 1_030)


def test_cancel_with_nothing_in_the_air_undoes_at_once() -> None:
    story = of().succeed().order(Verb.CANCEL)

    assert story.state.status == "compensating"
    assert story.undo_names() == ["A"]


def test_cancel_waits_for_the_call_in_the_air_and_undoes_it() -> None:
    story = of().succeed().send().order(Verb.CANCEL)
    assert story.state.status == "running"
    assert story.move is NOTHING

    story.succeed()

    assert story.state.status == "compensating"
    assert story.undo_names() == ["B", "A"]


def test_a_cancelled_saga_does_not_try_its_failed_call_again() -> None:
    story = Story(make_definition(make_step("A", retry=QUICK))).send().order(Verb.CANCEL)

    story.fail()

    assert story.state.status == "compensated"


def test_cancel_undoes_a_call_whose_answer_got_lost() -> None:
    story = Story(make_definition(make_step("A", retry=QUICK))).send().order(Verb.CANCEL)

    story.lose_answer()

    assert story.undo_names() == ["A"]


def test_cancel_while_the_last_step_is_in_the_air_ends_one_way_only() -> None:
    """Edge case 24."""
    story = of("A").send().order(Verb.CANCEL).succeed()

    assert story.state.status == "compensating"
    assert "saga_completed" not in story.kinds


def test_cancel_after_the_end_is_refused() -> None:
    """Edge case 24."""
    story = of("A").succeed()

    assert why_not(story.definition, story.state, Verb.CANCEL) is not None


def test_cancel_while_compensating_is_refused() -> None:
    """Edge case 23."""
    story = of().succeed().refuse()

    refusal = why_not(story.definition, story.state, Verb.CANCEL)

    assert refusal == "It is being undone already, and an undo is never aborted."


def test_cancel_is_refused_once_the_pivot_is_in_the_air() -> None:
    definition = make_definition(make_step("A"), make_step("P", kind=Kind.PIVOT, compensation=None))
    story = Story(definition).succeed()
    assert why_not(definition, story.state, Verb.CANCEL) is None

    story.send()

    assert why_not(definition, story.state, Verb.CANCEL) is not None


def test_retry_grants_a_new_budget_and_a_new_key_after_a_definite_no() -> None:
    story = parked()

    story.order(Verb.RETRY)

    assert story.move == Run(1, Direction.FORWARD, 2, generation=1)
    assert idempotency_key("S", "B", story.run()) == "S/B/do/2"


def test_retry_keeps_the_key_after_a_failure_that_may_pass() -> None:
    story = of(on_failure=OnFailure.PARK).fail()

    story.order(Verb.RETRY)

    assert idempotency_key("S", "A", story.run()) == "S/A/do"


def test_retry_keeps_the_key_while_the_outcome_is_in_doubt() -> None:
    story = Story(make_definition(make_step("A", on_unknown=OnUnknown.PARK)))
    story.send().lose_answer()

    story.order(Verb.RETRY)

    assert story.move == Run(0, Direction.FORWARD, 2, generation=0)


def test_a_retry_of_the_second_no_gets_a_third_key() -> None:
    story = parked().order(Verb.RETRY).refuse().order(Verb.RETRY)

    assert idempotency_key("S", "B", story.run()) == "S/B/do/3"


def test_a_retried_step_has_its_whole_budget_again() -> None:
    definition = make_definition(make_step("A", retry=QUICK), on_failure=OnFailure.PARK)
    story = Story(definition).fail().wait().fail().wait().fail()
    assert story.state.status == "failed"

    story.order(Verb.RETRY).fail().wait().fail().wait()

    assert story.move == Run(0, Direction.FORWARD, 6, generation=0)


def test_a_retry_does_not_wait_for_what_was_left_of_a_pause_between_attempts() -> None:
    slow = QUICK._replace(initial_s=100, cap_s=100)
    story = Story(make_definition(make_step("A", retry=slow), timeout_s=30.0, on_failure="park"))
    story.fail()
    story.now += 31
    story.time_out()

    story.order(Verb.RETRY)

    assert story.move == Run(0, Direction.FORWARD, 2, generation=0)


def test_retry_tries_every_undo_that_failed_not_only_the_last() -> None:
    """Edge case 38."""
    story = stuck(undos=2)
    assert steps_to_retry(story.state) == (0, 1)

    story.order(Verb.RETRY).succeed().succeed()

    assert story.state.status == "compensated"
    assert story.kinds[-3:] == ["undo_succeeded B", "undo_succeeded A", "saga_compensated"]


def test_a_retried_undo_gets_a_new_key_after_a_definite_no() -> None:
    story = stuck().order(Verb.RETRY)

    assert idempotency_key("S", "B", story.run()) == "S/B/undo/2"


def test_compensate_undoes_a_completed_saga() -> None:
    story = of("AB").succeed().succeed().order(Verb.COMPENSATE)

    assert story.undo_names() == ["B", "A"]
    story.succeed().succeed()
    assert story.state.status == "compensated"


def test_compensate_undoes_what_a_parked_saga_did() -> None:
    story = parked().order(Verb.COMPENSATE)

    assert story.undo_names() == ["A"]
    assert story.state.cause is not None
    assert story.state.cause["step"] == "B"


def test_marking_goes_on_until_no_effect_stands() -> None:
    story = stuck(undos=2)
    assert steps_to_mark(story.definition, story.state) == (1, 0)

    story.order(Verb.MARK_DONE, "B")
    assert story.state.status == "failed"
    story.order(Verb.MARK_DONE, "A")

    assert story.state.status == "compensated"
    assert story.step("A").status == StepStatus.DONE_BY_HAND


def test_a_parked_saga_with_an_effect_undone_by_hand_cannot_go_forward() -> None:
    """The step would be done again, and nobody would take its answer."""
    definition = make_definition(
        make_step("A"), make_step("B"), make_step("C"), on_failure=OnFailure.PARK
    )
    story = Story(definition).succeed().succeed().refuse()

    story.order(Verb.MARK_DONE, "A")

    assert story.state.status == "failed"
    assert "undone by hand" in (why_not(story.definition, story.state, Verb.RETRY) or "")
    assert story.order(Verb.COMPENSATE).undo_names() == ["B"]
    assert story.succeed().state.status == "compensated"


def test_of_a_saga_that_is_being_rewound_only_what_is_done_anew_is_marked_by_hand() -> None:
    """What stays must stay done, or the saga would run for ever and never move again."""
    definition = make_definition(
        make_step("A"), make_step("B"), make_step("C"), on_failure=OnFailure.PARK
    )
    story = Story(definition).succeed().succeed().refuse()
    story.order(Verb.REWIND, "B").refuse()
    assert story.state.status == "failed"

    assert steps_to_mark(definition, story.state) == (1,)
    story.order(Verb.MARK_DONE, "B")

    assert story.kinds[-2:] == ["marked_done B", "rewound"]
    assert story.succeed().succeed().state.status == "completed"


def test_marking_the_only_stuck_undo_ends_the_saga() -> None:
    story = stuck().order(Verb.MARK_DONE, "B")

    assert story.kinds[-2:] == ["marked_done B", "saga_compensated"]


def test_marking_settles_steps_without_an_undo_with_the_last_effect() -> None:
    definition = make_definition(
        make_step("A"),
        make_step("B", compensation=None),
        make_step("C"),
        on_failure=OnFailure.PARK,
    )
    story = Story(definition).succeed().succeed().refuse()

    story.order(Verb.MARK_DONE, "A")

    assert story.state.status == "compensated"
    assert story.step("B").status == StepStatus.NOT_NEEDED
    assert story.undo_names() == []


def test_an_effect_found_late_is_undone_by_a_retry() -> None:
    story = stuck()
    attempt = story.step("C").attempt
    late = h.Succeeded(story.now, 2, Direction.FORWARD, attempt)
    story.happens(late).order(Verb.MARK_DONE, "B")
    assert story.state.status == "failed"

    story.order(Verb.RETRY).succeed()

    assert story.state.status == "compensated"
    assert story.step("C").status == StepStatus.COMPENSATED


def test_the_idempotency_key_is_the_same_for_every_attempt() -> None:
    story = Story(make_definition(make_step("A", retry=QUICK)))
    first = idempotency_key("S", "A", story.run())

    story.send().lose_answer().wait()

    assert idempotency_key("S", "A", story.run()) == first == "S/A/do"
