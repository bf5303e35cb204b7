import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from config.embedded import lock
from config.embedded.exceptions import AlreadyRunning
from config.embedded.home import Home


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "config.embedded", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_second_launcher_says_that_the_first_one_runs(home: Home) -> None:
    with lock.hold(home, address="http://127.0.0.1:8000/"):
        second = launch("run", "--no-demo")

    assert second.returncode == 1
    assert "already runs at http://127.0.0.1:8000/" in second.stderr
    assert f"kill {os.getpid()}" in second.stderr


def test_the_home_is_free_again_after_its_launcher(home: Home) -> None:
    with lock.hold(home), pytest.raises(AlreadyRunning), lock.hold(home):
        pass

    assert lock.read_note(home) is None
    with lock.hold(home):
        assert lock.read_note(home) is not None


def test_a_taken_port_is_told_with_the_way_out(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = launch("run", "--no-demo", "--port", str(port))

    assert refused.returncode == 1
    assert f"Port {port} is taken" in refused.stderr
    assert f"make run PORT={port + 1}" in refused.stderr


def test_exec_gives_the_command_its_servers_and_returns_its_exit_code(home: Home) -> None:
    done = launch("exec", "--temporary", "--", "sh", "-c", "env; exit 7")

    assert done.returncode == 7
    names = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert names["DATABASE_URL"].startswith("postgres://")
    assert names["REDIS_URL"].startswith("unix://")
    assert names["SAGADESK_HOME"] != str(home.root)
    assert not Path(names["SAGADESK_HOME"]).exists()


def test_exec_of_a_missing_command_says_so(home: Home) -> None:
    done = launch("exec", "--temporary", "--", "/no/such/command")

    assert done.returncode == 127
    assert "There is no command /no/such/command" in done.stderr


def test_status_names_the_one_who_runs(home: Home) -> None:
    assert launch("status").returncode == 3

    with lock.hold(home, address="http://127.0.0.1:8000/"):
        lock.note(home, address="http://127.0.0.1:8000/", processes={"web": os.getpid()})
        running = launch("status")

    assert running.returncode == 0
    assert "runs at http://127.0.0.1:8000/" in running.stdout
    assert f"web        process {os.getpid()}" in running.stdout


def test_reset_removes_the_data(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = home.root / "inner"
    monkeypatch.setenv("SAGADESK_HOME", str(inner))
    (inner / "postgres").mkdir(parents=True)

    assert launch("reset", "--yes").returncode == 0

    assert not inner.exists()


def test_reset_refuses_while_the_servers_run(home: Home) -> None:
    with lock.hold(home):
        assert launch("reset", "--yes").returncode == 1

    assert home.root.exists()
