"""The same plays on the real engine: driver, database and HTTP."""

from __future__ import annotations

import pytest

from sagas.core.definition import Kind, OnUnknown, RetryPolicy, StepType
from sagas.verifying import verify
from sagas.verifying.engine import play_on_engine
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
