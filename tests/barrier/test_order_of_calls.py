"""Repeated, swapped and late calls of an action and its undo."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from sagas.barrier import barrier
from sagas.barrier.exceptions import BusinessFailure, InvalidKey
from sagas.barrier.models import HandledCall
from tests.barrier.conftest import Order, Stock, key_of, refusal_of

pytestmark = pytest.mark.django_db


def outcomes() -> dict[str, str]:
    rows = HandledCall.objects.values_list("key", "outcome")
    return {key.removeprefix("saga-1/Reserve/"): outcome for key, outcome in rows}


def test_a_repeated_action_gets_the_first_answer_and_has_one_effect(stock: Stock) -> None:
    """Edge case 7."""
    first = stock.do()

    assert stock.do() == first == {"reserved": "saga-1/Reserve/do"}
    assert stock.runs == ["saga-1/Reserve/do"]
    assert outcomes() == {"do": "done"}


def test_a_repeated_undo_gets_the_first_answer_and_undoes_once(stock: Stock) -> None:
    """Edge case 7."""
    stock.do()
    first = stock.undo()

    assert stock.undo() == first == {"released": "saga-1/Reserve/undo"}
    assert stock.runs == ["saga-1/Reserve/do", "saga-1/Reserve/undo"]
    assert stock.effects == []
    assert outcomes() == {"do": "undone", "undo": "done"}


def test_an_undo_before_its_action_succeeds_without_running_and_leaves_a_tombstone(
    stock: Stock,
) -> None:
    """Edge case 5."""
    assert stock.undo() is None

    assert stock.runs == []
    assert outcomes() == {"do": "tombstone", "undo": "nothing_to_undo"}


def test_the_action_that_comes_after_its_undo_is_refused_however_often_it_comes(
    stock: Stock,
) -> None:
    """Edge case 6."""
    stock.undo()

    refusals = [refusal_of(stock.do) for _ in range(2)]

    assert [(refusal.code, refusal.status) for refusal in refusals] == [("undone_before", 409)] * 2
    assert stock.runs == []
    assert stock.undo() is None


def test_an_action_that_was_done_and_undone_is_not_done_again_when_it_comes_late(
    stock: Stock,
) -> None:
    """Edge cases 6 and 7."""
    first = stock.do()
    stock.undo()

    assert stock.do() == first
    assert stock.effects == []


def test_a_refusal_undoes_what_was_written_and_is_remembered(stock: Stock) -> None:
    """Edge case 7."""
    stock.plays = [BusinessFailure("Sold out.", code="sold_out", status=422)]
    first = refusal_of(stock.do)

    again = refusal_of(stock.do)

    assert (str(again), again.code, again.status) == (str(first), "sold_out", 422)
    assert again.answer == first.answer == {"error": {"code": "sold_out", "message": "Sold out."}}
    assert len(stock.runs) == 1
    assert stock.effects == []


def test_an_undo_after_a_refused_action_has_nothing_to_do(stock: Stock) -> None:
    """Edge case 5."""
    stock.plays = [BusinessFailure("Sold out.")]
    refusal_of(stock.do)

    assert stock.undo() is None
    assert stock.runs == ["saga-1/Reserve/do"]
    assert outcomes() == {"do": "refused", "undo": "nothing_to_undo"}


def test_an_action_that_broke_leaves_nothing_and_is_run_again(stock: Stock) -> None:
    stock.plays = [ValueError("database of the carrier is away")]
    with pytest.raises(ValueError, match="carrier"):
        stock.do()
    assert (stock.effects, outcomes()) == ([], {})

    assert stock.do() == {"reserved": "saga-1/Reserve/do"}
    assert stock.effects == ["saga-1/Reserve/do"]


def test_an_undo_that_broke_leaves_the_effect_and_is_run_again(stock: Stock) -> None:
    stock.do()
    stock.plays = [ValueError("away")]
    with pytest.raises(ValueError, match="away"):
        stock.undo()
    assert (stock.effects, outcomes()) == (["saga-1/Reserve/do"], {"do": "done"})

    stock.undo()

    assert stock.effects == []


def test_a_refused_undo_can_be_ordered_again_under_a_new_key(stock: Stock) -> None:
    stock.do()
    stock.plays = [BusinessFailure("Shipped already.")]
    refusal_of(stock.undo)
    refusal_of(stock.undo)
    assert stock.effects == ["saga-1/Reserve/do"]

    stock.undo(2)

    assert stock.effects == []
    assert outcomes() == {"do": "undone", "undo": "refused", "undo/2": "done"}


def test_a_refused_action_can_be_ordered_again_and_is_undone(stock: Stock) -> None:
    stock.plays = [BusinessFailure("Sold out.")]
    refusal_of(stock.do)

    assert stock.do(2) == stock.do(2) == {"reserved": "saga-1/Reserve/do/2"}
    assert len(stock.runs) == 2
    assert refusal_of(stock.do).status == 409

    stock.undo()
    assert stock.effects == []


def test_an_undone_action_can_be_ordered_again_and_is_undone_under_a_new_key(
    stock: Stock,
) -> None:
    stock.do()
    stock.undo()

    stock.do(2)
    assert stock.effects == ["saga-1/Reserve/do/2"]
    # The first undo, late on the network, does not concern the new effect.
    stock.undo()
    assert stock.effects == ["saga-1/Reserve/do/2"]

    stock.undo(2)
    assert stock.effects == []


def test_an_undo_that_found_nothing_keeps_out_every_later_generation(stock: Stock) -> None:
    """Edge case 6: the second order was under way when the undo overtook it."""
    stock.plays = [BusinessFailure("Sold out.")]
    refusal_of(stock.do)
    stock.undo()

    assert refusal_of(stock.do, 2).code == "undone_before"
    assert refusal_of(stock.do, 3).code == "undone_before"
    assert stock.effects == []


def test_an_order_that_a_later_one_has_replaced_is_refused(stock: Stock) -> None:
    """Edge case 6."""
    stock.do(3)

    assert refusal_of(stock.do).code == "superseded"
    assert refusal_of(stock.do, 2).code == "superseded"
    assert stock.effects == ["saga-1/Reserve/do/3"]


def test_steps_with_slashes_in_their_names_are_apart(stock: Stock) -> None:
    stock.release(Order("saga-1/A/do/undo"))

    assert stock.reserve(Order("saga-1/A/do")) == {"reserved": "saga-1/A/do"}
    assert refusal_of(stock.reserve, Order("saga-1/A/do/do")).code == "undone_before"


def test_a_key_of_the_other_direction_is_refused_as_a_mistake(stock: Stock) -> None:
    with pytest.raises(InvalidKey, match="none of the form …/do"):
        stock.reserve(Order(key_of("undo")))
    with pytest.raises(InvalidKey, match="none of the form …/undo"):
        stock.release(Order("order-17"))
    with pytest.raises(InvalidKey, match="255"):
        stock.reserve(Order("x" * 300 + "/do"))


def test_any_other_key_is_let_through_once() -> None:
    for _ in range(2):
        with barrier.once("import-2027-03") as call:
            if not call.is_settled:
                Group.objects.create(name="imported")
                call.answer = 17

    assert call.is_settled
    assert call.answer == 17
    assert Group.objects.filter(name="imported").count() == 1


def test_an_undo_is_told_which_actions_it_takes_back(stock: Stock) -> None:
    stock.do()

    with barrier.once(key_of("undo")) as call:
        undoes = [(action.key, action.answer) for action in call.undoes]

    assert undoes == [("saga-1/Reserve/do", {"reserved": "saga-1/Reserve/do"})]


@pytest.mark.parametrize(
    ("answer", "code"), [("x" * 70_000, "answer_too_large"), ({1, 2}, "invalid_answer")]
)
def test_an_answer_that_cannot_be_kept_is_a_refusal_and_has_no_effect(
    answer: object, code: str
) -> None:
    """Edge case 36."""

    def reserve(order: Order) -> object:
        Group.objects.create(name="reserved")
        return answer

    refusal = refusal_of(barrier.action(reserve), Order(key_of("do")))

    assert refusal.code == code
    assert not Group.objects.filter(name="reserved").exists()


def test_what_the_caller_rolls_back_is_forgotten(stock: Stock) -> None:
    with transaction.atomic():
        stock.do()
        transaction.set_rollback(True)

    assert (stock.effects, outcomes()) == ([], {})


def test_an_action_costs_few_statements(stock: Stock, django_assert_num_queries: object) -> None:
    # Three savepoints, the look for a row, the row, the effect, the answer.
    with django_assert_num_queries(10):  # type: ignore[operator]
        stock.do()
