"""The same plays on the real engine: driver, database and HTTP."""

from __future__ import annotations

import pytest

from sagas.core import locking
from sagas.core.definition import Kind, OnUnknown, RetryPolicy, StepType
from sagas.verifying import verify
from sagas.verifying.engine import play_on_engine
from sagas.verifying.judging import wrong_locks
from sagas.verifying.plays import Play, Trouble
from tests.builders import make_definition, make_step

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_real_engine_comes_to_what_the_core_comes_to() -> None:
    approval = make_step(
        "C", type=StepType.APPROVAL, participant="", action="approve", compensation=None
    )
    definition = make_definition(
        make_step("A", retry=RetryPolicy(attempts=2)),
        make_step("B", after=(), on_unknown=OnUnknown.COMPENSATE),
        approval._replace(after=(0, 1)),
        make_step("D", kind=Kind.PIVOT),
        invariants=("All compensations must be idempotent",),
    )

    verdict = verify(definition, engine=play_on_engine)

    assert [line for line in verdict.lines if not line.holds] == []
    assert verdict.holds


def test_the_real_engine_takes_the_locks_and_gives_them_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    definition = make_definition(
        make_step("A", retry=RetryPolicy(attempts=1)),
        make_step("B", retry=RetryPolicy(attempts=1), locks=("shelf:{outputs.A.shelf}",)),
        locks=("order:{input.id}",),
    )

    verdict = verify(definition, engine=play_on_engine)
    assert [line for line in verdict.lines if not line.holds] == []

    monkeypatch.setattr(locking, "gives_back", lambda definition, state: False)
    seen = play_on_engine(definition, [Play("", Trouble.NONE)])
    assert list(wrong_locks(definition, seen[0])) == [
        "completed, and still holds: order:{input.id}, shelf:{outputs.A.shelf}"
    ]
