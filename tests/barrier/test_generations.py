"""Actions ordered anew, and undos that say which of them they take back."""

from __future__ import annotations

import pytest

from sagas.barrier import barrier
from sagas.barrier.exceptions import BusinessFailure, InvalidKey
from sagas.barrier.keys import parse_key
from sagas.barrier.models import HandledCall
from tests.barrier.conftest import Order, Stock, key_of, refusal_of

pytestmark = pytest.mark.django_db


def test_an_undo_that_found_nothing_keeps_out_its_action_and_lets_the_next_one_through(
    stock: Stock,
) -> None:
    """Edge cases 5 and 6."""
    assert stock.undo(of=1) is None

    assert refusal_of(stock.do).code == "undone_before"
    assert stock.do(2) == {"reserved": "saga-1/Reserve/do/2"}
    assert stock.effects == ["saga-1/Reserve/do/2"]


def test_the_first_action_is_refused_when_it_comes_after_the_one_that_replaced_it(
    stock: Stock,
) -> None:
    """Edge case 6."""
    stock.undo(of=1)
    stock.do(2)

    assert refusal_of(stock.do).code == "undone_before"
    assert stock.effects == ["saga-1/Reserve/do/2"]


def test_an_undo_keeps_out_every_generation_up_to_the_one_it_takes_back(stock: Stock) -> None:
    """Edge case 6: a "no", ordered again, undone before the second order came."""
    stock.plays = [BusinessFailure("Sold out.")]
    refusal_of(stock.do)
    stock.undo(of=3)

    refusals = [refusal_of(stock.do, generation).code for generation in (2, 3)]

    assert refusals == ["undone_before"] * 2
    assert stock.do(4) == {"reserved": "saga-1/Reserve/do/4"}
    assert stock.effects == ["saga-1/Reserve/do/4"]


def test_an_undo_that_found_an_effect_keeps_out_what_comes_late_of_its_generations(
    stock: Stock,
) -> None:
    """Edge case 6: the first answer, a success, was lost to somebody's "no"."""
    stock.do()
    stock.undo(of=2)

    assert refusal_of(stock.do, 2).code == "undone_before"
    assert stock.do(3) == {"reserved": "saga-1/Reserve/do/3"}


def test_a_step_can_be_undone_and_done_anew_any_number_of_times(stock: Stock) -> None:
    for generation in (1, 2, 3):
        stock.do(generation)
        stock.undo(generation, of=generation)
    stock.undo(4, of=4)
    stock.do(5)

    assert stock.effects == ["saga-1/Reserve/do/5"]


def test_an_undo_leaves_alone_what_was_done_anew_before_it_came(stock: Stock) -> None:
    """Edge case 6: it was marked as done by hand while it was still on its way."""
    stock.do()
    stock.do(2)

    with barrier.once(key_of("undo"), undoes=key_of("do")) as call:
        assert [action.key for action in call.undoes] == [key_of("do")]

    assert list(HandledCall.objects.filter(outcome="done", direction="forward")) == [
        HandledCall.objects.get(key=key_of("do", 2))
    ]


def test_an_undo_takes_back_every_effect_up_to_its_action(stock: Stock) -> None:
    stock.do()
    stock.do(2)

    with barrier.once(key_of("undo"), undoes=key_of("do", 2)) as call:
        assert sorted(action.generation for action in call.undoes) == [1, 2]

    assert not HandledCall.objects.filter(outcome="done", direction="forward").exists()


def test_a_refused_undo_keeps_out_its_late_actions_and_is_ordered_again(stock: Stock) -> None:
    stock.do()
    stock.plays = [BusinessFailure("Shipped already.")]
    refusal_of(lambda: stock.undo(of=2))

    assert refusal_of(stock.do, 2).code == "undone_before"
    stock.undo(2, of=2)
    assert stock.effects == []


def test_an_undo_that_does_not_say_keeps_out_every_later_action(stock: Stock) -> None:
    """What older callers send."""
    stock.undo()
    stock.undo(2, of=1)

    assert refusal_of(stock.do, 2).code == "undone_before"
    assert HandledCall.objects.get(key=key_of("undo")).undone is None
    assert HandledCall.objects.get(key=key_of("undo", 2)).undone == 1


def test_a_repeated_undo_gets_its_first_answer_after_the_step_was_done_anew(stock: Stock) -> None:
    """Edge case 7."""
    stock.undo(of=1)
    stock.do(2)

    assert stock.undo(of=1) is None
    assert stock.effects == ["saga-1/Reserve/do/2"]


@pytest.mark.parametrize("undoes", ["saga-1/Other/do", "saga-1/Reserve/undo", "order-17"])
def test_an_undo_of_what_is_no_action_of_its_step_is_a_mistake(stock: Stock, undoes: str) -> None:
    with pytest.raises(InvalidKey):
        stock.release(Order(key_of("undo"), undoes))

    assert not HandledCall.objects.exists()


def test_only_an_undo_takes_something_back() -> None:
    assert parse_key(key_of("do", 2), undoes=key_of("do")).undone is None
    assert parse_key("order-17", undoes=key_of("do")).undone is None
