"""The page of a definition: its steps, and how they hang together."""

from __future__ import annotations

import pytest

from sagas.core.definition import Kind, RetryPolicy, Step, StepType
from tests.builders import make_step, store
from tests.console.builders import make_operator

pytestmark = pytest.mark.django_db


def read_page() -> str:
    return make_operator("sagas.view_definition").get("/definitions/test/1/").content.decode()


def test_the_graph_is_drawn_with_waits_kinds_and_order() -> None:
    store(
        make_step("A"),
        make_step("B", after=()),
        Step("Pause", "", "wait", type=StepType.TIMER, wait_s=600.0, after=(0, 1)),
        make_step("Pay", kind=Kind.PIVOT, when="input.total > `10`"),
    )

    page = read_page()

    assert page.count('<g class="graph-step') == 4
    assert "waits 10m" in page
    assert "after A, B" in page
    assert "from the start" in page
    assert "only if input.total &gt; `10`" in page


def test_policies_are_told_in_units_for_people() -> None:
    store(make_step("A", retry=RetryPolicy(attempts=9, initial_s=1800.0, cap_s=5400.0)))

    page = read_page()

    assert "9 attempts, 30 min × 2, at most 1 h 30 min apart" in page
    assert "timeout 30 s" in page


def test_what_authors_wrote_is_shown_as_text() -> None:
    store(Step("Approve", "", "approve", type=StepType.APPROVAL, approvers="<script>alert(1)"))

    page = read_page()

    assert "<script>alert" not in page
    assert "approval by &lt;script&gt;alert(1)" in page
