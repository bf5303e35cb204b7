"""Trouble at any point of the work: nothing is lost and nothing is done twice.

The ordinary run plays a few schedules of every scenario, `make crash` thousands. They are drawn
from SEED, which is printed, and repeats them when it is given.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crashes.fuse import Schedule
from tests.crashes.scenarios import SCENARIOS, Scenario
from tests.crashes.schedules import SCHEDULES, SEED, draw
from tests.crashes.stage import Stage, findings
from tests.crashes.world import Reader

Record = Callable[[str, object], None]
SAMPLE = 4
# So many schedules are one test, so that several processes share a scenario.
PART = 50
SHARE = -(-SCHEDULES // len(SCENARIOS))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_trouble_somewhere_changes_nothing(scenario: Scenario, reader: Reader) -> None:
    """Edge cases 1, 2, 12 and 13."""
    play_part(Stage(scenario, reader), slice(SHARE // 2 - SAMPLE // 2, SHARE // 2 + SAMPLE // 2))


@pytest.mark.crash
@pytest.mark.parametrize("part", range(-(-SHARE // PART)))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_trouble_anywhere_changes_nothing(
    scenario: Scenario, part: int, reader: Reader, record_property: Record
) -> None:
    """Edge cases 1, 2, 12 and 13."""
    played = play_part(Stage(scenario, reader), slice(part * PART, (part + 1) * PART))

    record_property("schedules", played)


def play_part(stage: Stage, part: slice) -> int:
    """Play these schedules of the stage's scenario; return how many they were."""
    expected = stage.play()
    assert expected.findings == []
    schedules = draw(stage.scenario.name, stage.fuse.points, SHARE)[part]
    struck = 0
    for schedule in schedules:
        assert findings(stage, expected, schedule) == [], told(schedule)
        struck += stage.fuse.struck > 0
    assert struck
    return len(schedules)


def told(schedule: Schedule) -> str:
    return f"SEED={SEED}: {', '.join(map(str, schedule))}"
