"""The embedded Valkey, which speaks the Redis protocol over a unix socket only."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from config.embedded.account import make_private
from config.embedded.binaries import find_valkey
from config.embedded.child import Child
from config.embedded.home import Home
from config.embedded.leftover import end_leftover

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "databases": "64",
    "save": "",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "logfile": "",
    "daemonize": "no",
}


@dataclass
class Valkey(Child):
    address: Path = field(default=Path(), kw_only=True)
    pid_file: Path = field(default=Path(), kw_only=True)

    def start(self) -> None:
        """Start the server; one that was killed, and its socket, are cleared away first."""
        end_leftover(self.pid_file, marker=str(self.address), signal_number=self.stop_signal)
        self.address.unlink(missing_ok=True)
        super().start()

    def is_ready(self) -> bool:
        """Say whether it answers; while it loads its data it answers with an error."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.address))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


def build_valkey(home: Home, *, durable: bool = True) -> tuple[Valkey, str]:
    """Return the server and the REDIS_URL to reach it."""
    data = make_private(home.state / "valkey", home.account)
    address = home.make_sockets() / "valkey.sock"
    pid_file = data / "valkey.pid"
    settings = SETTINGS | {
        "dir": str(data),
        "unixsocket": str(address),
        "pidfile": str(pid_file),
        "appendonly": "yes" if durable else "no",
    }
    server = Valkey(
        name="valkey",
        argv=[str(find_valkey(home))]
        + [part for name, value in settings.items() for part in (f"--{name}", value)],
        log=home.logs / "valkey.log",
        env={},
        folder=home.state,
        account=home.account,
        address=address,
        pid_file=pid_file,
    )
    return server, f"unix://{address}"
