"""A minute of chaos; `make chaos` lets it rage for ten."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from config.embedded.home import PROJECT
from tests.crashes.schedules import SEED

SECONDS = 60
# It ends itself long before; whoever hangs all the same is not waited for.
GIVE_UP_S = 600


@pytest.mark.crash
def test_nothing_is_lost_doubled_or_left_behind_in_the_chaos() -> None:
    """Edge cases 1, 2, 12, 13, 32 and 34."""
    mine = ("DATABASE_URL", "REDIS_URL", "SAGADESK_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in mine}

    done = subprocess.run(
        [sys.executable, "-m", "tests.crashes.chaos", f"--seconds={SECONDS}", f"--seed={SEED}"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
    )

    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
