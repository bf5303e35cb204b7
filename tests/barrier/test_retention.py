"""How long calls are remembered, and that it is long enough."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db.models.functions import Now

from sagas.barrier import purging
from sagas.barrier.checks import check_retention
from sagas.barrier.models import HandledCall
from sagas.barrier.purging import purge_handled
from tests.barrier.conftest import Stock, refusal_of

pytestmark = pytest.mark.django_db


def make_old(days: int, **which: Any) -> None:
    HandledCall.objects.filter(**which).update(created_at=Now() - timedelta(days=days))


def test_what_is_older_than_the_retention_goes(stock: Stock, settings: Any) -> None:
    """Edge case 35."""
    settings.SAGAS_BARRIER_KEEP_DAYS = 40
    stock.do()
    stock.undo()
    make_old(39)
    assert purge_handled() == 0

    make_old(41)

    assert purge_handled() == 2
    assert not HandledCall.objects.exists()


def test_calls_of_a_step_stay_together_until_the_last_one_is_old(stock: Stock) -> None:
    """Edge case 35: the undo is still to be repeated, and the action must not slip in again."""
    stock.undo()
    make_old(1000, direction="forward")

    assert purge_handled() == 0
    assert refusal_of(stock.do).code == "undone_before"


def test_keys_that_are_no_sagas_do_not_keep_each_other(stock: Stock) -> None:
    HandledCall.objects.create(key="old", outcome="done")
    make_old(1000)
    HandledCall.objects.create(key="new", outcome="done")

    assert purge_handled() == 1
    assert HandledCall.objects.get().key == "new"


def test_purging_goes_on_in_batches_until_all_is_done(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(purging, "BATCH", 2)
    for number in range(5):
        HandledCall.objects.create(key=f"old {number}", outcome="done")
    make_old(1000)

    with django_assert_num_queries(6):
        assert purge_handled() == 5


def test_purging_stops_when_its_time_is_up() -> None:
    HandledCall.objects.create(key="old", outcome="done")
    make_old(1000)

    assert purge_handled(budget_s=0) == 0


def test_the_command_says_how_many_went() -> None:
    HandledCall.objects.create(key="old", outcome="done")
    make_old(1000)
    out = StringIO()

    call_command("purge_barrier", stdout=out)

    assert out.getvalue() == "1 calls forgotten.\n"


@pytest.mark.parametrize(
    ("keep", "longest", "words"),
    [(29, 30, "a retry may come after 30 days"), ("x", 30, "no number"), (5, 0, "after 0 days")],
)
def test_a_retention_shorter_than_the_longest_retry_is_refused_at_the_start(
    settings: Any, keep: Any, longest: Any, words: str
) -> None:
    """Edge case 35."""
    settings.SAGAS_BARRIER_KEEP_DAYS = keep
    settings.SAGAS_BARRIER_LONGEST_RETRY_DAYS = longest

    errors = [error for error in run_checks() if error.id == "sagas_barrier.E001"]

    assert len(errors) == 1
    assert words in errors[0].msg
    with pytest.raises(ImproperlyConfigured, match=words):
        purge_handled()


def test_the_defaults_are_fit_to_start_with(settings: Any) -> None:
    """Edge case 35."""
    del settings.SAGAS_BARRIER_KEEP_DAYS
    del settings.SAGAS_BARRIER_LONGEST_RETRY_DAYS

    assert check_retention() == []
