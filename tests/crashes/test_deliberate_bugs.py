"""Checks that never fail prove nothing: every bug that is put in on purpose is found."""

from __future__ import annotations

import pytest

from tests.crashes.bugs import BUGS, Bug
from tests.crashes.scenarios import SCENARIOS
from tests.crashes.stage import Stage, findings
from tests.crashes.world import Reader


@pytest.mark.crash
@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_a_bug_that_is_put_in_is_found(bug: Bug, reader: Reader) -> None:
    [scenario] = [scenario for scenario in SCENARIOS if scenario.name == bug.scenario]
    stage = Stage(scenario, reader)
    expected = stage.play()
    assert expected.findings == []

    found = None
    for schedule in bug.schedules(stage.fuse.points):
        with pytest.MonkeyPatch.context() as patch:
            bug.put_in(patch)
            if findings(stage, expected, schedule):
                found = schedule
                break

    assert found is not None
    # It is the bug that is found, not the trouble.
    assert findings(stage, expected, found) == []
