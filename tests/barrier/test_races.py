"""Two calls of one step at the same moment, on two connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from sagas.barrier.models import HandledCall
from tests.barrier.conftest import Stock, refusal_of
from tests.sagas.rivals import rival, wait_until_blocked

pytestmark = pytest.mark.django_db(transaction=True)


def while_under_way(
    first: Callable[[], Any], second: Callable[[], Any], *, breaks: bool = False
) -> Any:
    """Begin the second call before the first one's end; return what the second came to."""
    with rival() as other:
        with transaction.atomic():
            first()
            answer = other.begin(second)
            wait_until_blocked()
            assert not answer.done()
            transaction.set_rollback(breaks)
        return answer.result(20)


def test_the_same_action_twice_at_once_waits_and_gets_the_first_answer(stock: Stock) -> None:
    """Edge case 7."""
    answer = while_under_way(stock.do, stock.do)

    assert answer == {"reserved": "saga-1/Reserve/do"}
    assert stock.effects == ["saga-1/Reserve/do"]
    assert len(stock.runs) == 1


def test_the_same_undo_twice_at_once_waits_and_gets_the_first_answer(stock: Stock) -> None:
    """Edge case 7."""
    stock.do()

    answer = while_under_way(stock.undo, stock.undo)

    assert answer == {"released": "saga-1/Reserve/undo"}
    assert len(stock.runs) == 2


def test_an_undo_waits_for_the_action_under_way_and_undoes_it(stock: Stock) -> None:
    """Edge case 5."""
    answer = while_under_way(stock.do, stock.undo)

    assert answer == {"released": "saga-1/Reserve/undo"}
    assert stock.effects == []


def test_an_undo_waits_for_an_action_that_is_ordered_again(stock: Stock) -> None:
    """Edge case 5."""
    answer = while_under_way(lambda: stock.do(2), stock.undo)

    assert answer == {"released": "saga-1/Reserve/undo"}
    assert stock.effects == []


@pytest.mark.parametrize("generation", [1, 2])
def test_an_action_waits_for_its_undo_under_way_and_is_refused(
    stock: Stock, generation: int
) -> None:
    """Edge case 6."""
    refusal = while_under_way(stock.undo, lambda: refusal_of(stock.do, generation))

    assert refusal.code == "undone_before"
    assert stock.effects == []


def test_an_action_ordered_anew_waits_for_the_undo_under_way_and_goes_ahead(stock: Stock) -> None:
    """Edge case 6."""
    answer = while_under_way(lambda: stock.undo(of=1), lambda: stock.do(2))

    assert answer == {"reserved": "saga-1/Reserve/do/2"}
    assert stock.effects == ["saga-1/Reserve/do/2"]


def test_a_late_undo_waits_for_the_action_ordered_anew_and_leaves_it_alone(stock: Stock) -> None:
    """Edge case 6."""
    assert while_under_way(lambda: stock.do(2), lambda: stock.undo(of=1)) is None
    assert stock.effects == ["saga-1/Reserve/do/2"]


def test_an_undo_under_way_refuses_every_action_that_it_takes_back(stock: Stock) -> None:
    """Edge case 6."""
    refusal = while_under_way(lambda: stock.undo(of=2), lambda: refusal_of(stock.do, 2))

    assert refusal.code == "undone_before"
    assert stock.effects == []


def test_an_action_goes_ahead_when_the_one_it_waited_for_breaks(stock: Stock) -> None:
    """Edge case 7."""
    answer = while_under_way(stock.do, stock.do, breaks=True)

    assert answer == {"reserved": "saga-1/Reserve/do"}
    assert stock.effects == ["saga-1/Reserve/do"]
    assert HandledCall.objects.count() == 1


def test_an_undo_finds_nothing_when_the_action_it_waited_for_breaks(stock: Stock) -> None:
    """Edge case 5."""
    assert while_under_way(stock.do, stock.undo, breaks=True) is None
    assert refusal_of(stock.do).code == "undone_before"
