"""Shows the timelines of a failed test's simulations. In conftest.py:

pytest_plugins = ["sagas.testing.pytest_plugin"]
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from sagas.testing.simulation import alive


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        for run in sorted(alive, key=repr):
            report.sections.append((f"saga {run!r}", run.timeline()))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # What earlier tests have left behind is of no interest.
    alive.clear()
