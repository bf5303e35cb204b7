"""The embedded PostgreSQL: one cluster, one database, reached over a unix socket only."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from config.embedded.account import make_private
from config.embedded.binaries import find_postgres
from config.embedded.child import Child
from config.embedded.exceptions import EmbeddedError
from config.embedded.home import Home
from config.embedded.leftover import end_leftover, read_pid

USER = DATABASE = "sagadesk"
# Nothing of our environment (PGPORT, PGDATA, LC_ALL) may leak into the server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
SETTINGS = {
    "port": "5432",  # only a part of the socket's name
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "96MB",
    "jit": "off",
    "io_method": "sync",  # saves three processes
    "max_parallel_workers_per_gather": "0",
    "wal_level": "minimal",  # nobody replicates from here
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "random_page_cost": "1.1",
    "autovacuum_naptime": "15s",  # tables that work as queues
    "log_checkpoints": "off",
    "log_min_duration_statement": "1s",
    "log_line_prefix": "%m [%p] ",
}
# For data that is thrown away.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass
class Postgres(Child):
    data: Path = field(default=Path(), kw_only=True)

    def start(self) -> None:
        """Start the server, over data that a killed one may have left."""
        end_leftover(self.pid_file, marker=str(self.data), signal_number=self.stop_signal)
        super().start()

    def is_ready(self) -> bool:
        """Read the state the server keeps in its own pid file."""
        if not self.is_alive() or read_pid(self.pid_file) != self.pid:
            return False
        return self.pid_file.read_text().rstrip().endswith("\nready")

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"


def build_postgres(home: Home, *, durable: bool = True) -> tuple[Postgres, str]:
    """Return the server, its cluster made, and the DATABASE_URL to reach it."""
    folder = find_postgres(home)
    data = home.state / "postgres"
    if not (data / "PG_VERSION").exists():
        _make_cluster(home, folder=folder, data=data, durable=durable)
    sockets = home.make_sockets()
    settings = SETTINGS | {"unix_socket_directories": str(sockets)}
    if not durable:
        settings |= NOT_DURABLE
    server = Postgres(
        name="postgres",
        argv=[str(folder / "postgres"), "-D", str(data), *_options(settings)],
        log=home.logs / "postgres.log",
        env=ENVIRONMENT,
        folder=home.state,
        account=home.account,
        stop_signal=signal.SIGINT,  # its fast shutdown
        stop_seconds=20,
        data=data,
    )
    return server, f"postgres://{USER}@/{DATABASE}?host={sockets}"


def _make_cluster(home: Home, *, folder: Path, data: Path, durable: bool) -> None:
    """Make the cluster with its database under another name first: it is there whole or not."""
    draft = data.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    make_private(draft, home.account)
    _run(
        home,
        [str(folder / "initdb"), "-D", str(draft), f"--username={USER}", "--auth=trust"]
        + ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        + ["--builtin-locale=C.UTF-8", "--no-instructions"]
        + ([] if durable else ["--no-sync"]),
    )
    settings = {} if durable else NOT_DURABLE
    _run(
        home,
        [str(folder / "postgres"), "--single", "-D", str(draft), *_options(settings), "postgres"],
        text=f"CREATE DATABASE {DATABASE} STRATEGY file_copy\n",
    )
    draft.rename(data)


def _run(home: Home, argv: list[str], *, text: str = "") -> None:
    account = home.account
    done = subprocess.run(
        argv,
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
        cwd=home.state,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        check=False,
    )
    if done.returncode:
        raise EmbeddedError(
            f"PostgreSQL could not make its data in {home.state}: {Path(argv[0]).name} said\n"
            f"{done.stdout.decode(errors='replace').strip()}"
        )


def _options(settings: dict[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
