import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.embedded import child as child_module
from config.embedded import keeper as keeper_module
from config.embedded.child import Child, trim
from config.embedded.exceptions import EmbeddedError
from config.embedded.keeper import Keeper
from config.embedded.leftover import command_of

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

Build = Callable[..., Child]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    def build_child(program: str, *, stop_seconds: float = 5) -> Child:
        return Child(
            name="example",
            argv=[sys.executable, "-c", program],
            log=tmp_path / "example.log",
            stop_seconds=stop_seconds,
        )

    return build_child


def wait_for_line(child: Child) -> str:
    while not (text := child.log.read_text()).endswith("\n"):
        assert child.is_alive()
    return text


def test_stop_leaves_nothing_of_a_stubborn_program(build: Build) -> None:
    child = build(
        "import signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen(['sleep', '60']).pid, flush=True)\n"
        "time.sleep(60)",
        stop_seconds=0.1,
    )
    child.start()
    grandchild = int(wait_for_line(child))

    child.stop()

    assert not child.is_alive()
    deadline = time.monotonic() + 30
    while command_of(grandchild):
        assert time.monotonic() < deadline


def test_a_program_that_gives_up_is_told_with_the_end_of_its_log(build: Build) -> None:
    child = build("print('the reason'); raise SystemExit(3)")
    child.start()
    child.process.wait()

    with pytest.raises(EmbeddedError, match="the reason"):
        child.wait_ready(0)
    assert child.ending() == "ended with 3"


def test_a_failing_program_is_started_again_ever_later(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The clock stands still, so that no delay of this machine counts.
    monkeypatch.setattr(keeper_module, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    child = build("raise SystemExit(1)")
    keeper = Keeper()
    child.start()
    keeper.keep(child)
    watched = keeper.watched[0]

    pauses = []
    for _ in range(4):
        child.process.wait()
        keeper.look()
        pauses.append(watched.restart_at - 1000.0)
        watched.restart_at = 0
        keeper.look()
    child.stop()

    assert pauses == [0.0, 1.0, 2.0, 4.0]


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "LARGEST_LOG", 10)
    log = tmp_path / "example.log"
    log.write_text("more than ten characters")

    trim(log)

    assert log.read_text() == ""
    assert (tmp_path / "example.log.1").read_text() == "more than ten characters"


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "example.log"
    log.write_text("short")

    trim(log)

    assert os.listdir(tmp_path) == ["example.log"]
