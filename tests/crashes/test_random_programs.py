"""Random programs under random trouble, judged by what their participants really did."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crashes.programs import random_programs
from tests.crashes.scenarios import TWO, Scenario
from tests.crashes.schedules import draw
from tests.crashes.stage import Stage
from tests.crashes.test_schedules import told
from tests.crashes.world import Reader

PROGRAMS, SCHEDULES_EACH = 40, 12
RESTS = {"completed", "compensated", "failed"}


@pytest.mark.parametrize("program", random_programs(6), ids=lambda program: program.name)
def test_a_random_program_survives_trouble(program: Scenario, reader: Reader) -> None:
    """Edge cases 1, 2, 12, 13, 27 and 28."""
    play(Stage(program, reader), 3)


@pytest.mark.crash
@pytest.mark.parametrize("program", random_programs(PROGRAMS), ids=lambda program: program.name)
def test_random_programs_survive_trouble(
    program: Scenario, reader: Reader, record_property: Callable[[str, object], None]
) -> None:
    """Edge cases 1, 2, 12, 13, 27 and 28."""
    record_property("schedules", play(Stage(program, reader), SCHEDULES_EACH))


def play(stage: Stage, count: int) -> int:
    """Play so many schedules of a program; return how many they were."""
    assert stage.play().findings == []
    schedules = draw(stage.scenario.name, stage.fuse.points, count)
    for schedule in schedules:
        # Trouble may end it in another way: what is in doubt is undone, a branch never begins.
        outcome = stage.play(schedule)
        assert outcome.findings == [], told(schedule)
        assert {end.status for end in outcome.ends} <= RESTS, told(schedule)
        assert len(outcome.ends) >= len(TWO), told(schedule)
    return len(schedules)
