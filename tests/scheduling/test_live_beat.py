"""Two real beats over one schedule: neither starts what the other one has, and one is enough."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from config.embedded.child import Child
from config.embedded.home import Home
from config.embedded.servers import Servers
from sagas.core.definition import Step, StepType
from sagas.models import Saga
from sagas.scheduling.keeping import Setting, set_schedule
from tests.builders import store
from tests.crashes.chaos.processes import beat, started, until, worker
from tests.crashes.chaos.striking import end, family
from tests.scheduling.telling_beat import FIRED

pytestmark = [pytest.mark.crash, pytest.mark.django_db(transaction=True)]

EVERY = timedelta(seconds=2)
# So often each of them fires, and so often the one that is left.
TIMES = 5
PATIENCE_S = 60.0


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    """The servers of this test run, with a home of its own for the logs."""
    database = f"/{settings.DATABASES['default']['NAME']}"
    urls = {
        "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=database).geturl(),
        "REDIS_URL": os.environ["REDIS_URL"],
    }
    for name in ("logs", "staticfiles"):
        (tmp_path / name).mkdir()
    return Servers(Home(tmp_path, tmp_path, None), [], urls)


@pytest.fixture
def beats(servers: Servers) -> list[Child]:
    beats = [beat(servers, name) for name in ("beat-a", "beat-b")]
    for child in beats:
        assert child.env is not None
        child.env["SAGADESK_MODULES"] = "tests.scheduling.telling_beat"
    return beats


def firings(child: Child) -> int:
    """Return how often a beat has fired the schedule, by its log."""
    return child.log.read_text().count(FIRED)


def wait_for(condition: Callable[[], object]) -> None:
    assert until(condition, lambda: None, give_up_at=time.monotonic() + PATIENCE_S)


def test_each_slot_starts_one_saga_though_two_beats_fire_and_one_is_killed(
    servers: Servers, beats: list[Child]
) -> None:
    """Edge case 15."""
    store(Step("Wait", "", "timer", type=StepType.TIMER, wait_s=0.1))
    every = f"{EVERY.seconds}s"
    setting = Setting("live", "test", "{slot}", every=every, make_up=2 * TIMES)
    set_schedule(setting, actor=None, reason="a test")

    with started(worker(servers, "worker")), started(beats[0]), started(beats[1]):
        wait_for(lambda: min(map(firings, beats)) >= TIMES)
        for process in family(beats[0]):
            end(process, signal.SIGKILL)
        started_before, fired_before = Saga.objects.count(), firings(beats[1])
        wait_for(lambda: firings(beats[1]) >= fired_before + TIMES)
        wait_for(lambda: Saga.objects.count() >= started_before + TIMES)
        wait_for(lambda: not Saga.objects.moving().exists())

    slots = [datetime.fromisoformat(saga.business_key) for saga in Saga.objects.order_by("pk")]
    assert slots == [slots[0] + number * EVERY for number in range(len(slots))]
