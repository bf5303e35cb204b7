"""`exec`, `status` and `reset`: one command over the servers, who runs here, a clean start."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from config.embedded import lock
from config.embedded.child import die_with_parent
from config.embedded.console import complain, say
from config.embedded.home import open_home, remove_home
from config.embedded.keeper import Keeper
from config.embedded.servers import Servers, serve, serve_temporarily

NOT_RUNNING = 3
LOOK_SECONDS = 0.2


def execute(argv: list[str], *, temporary: bool) -> int:
    """Run a command over the servers; return its exit code, as a shell would."""
    if shutil.which(argv[0]) is None:
        complain(f"There is no command {argv[0]}.")
        return 127
    servers: AbstractContextManager[Servers] = serve_temporarily() if temporary else _serve_locked()
    with servers as running:
        return _run(argv, running)


@contextmanager
def _serve_locked() -> Iterator[Servers]:
    home = open_home()
    with lock.hold(home), serve(home) as servers:
        yield servers


def _run(argv: list[str], servers: Servers) -> int:
    process = subprocess.Popen(
        argv, env=servers.environment(), preexec_fn=die_with_parent(signal.SIGTERM)
    )
    keeper = Keeper()
    for child in servers.children:
        keeper.keep(child)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    # The terminal sends Ctrl-C to the command as well; we stay until it has ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while (code := process.poll()) is None:
        keeper.look()
        time.sleep(LOOK_SECONDS)
    return code if code >= 0 else 128 - code


def status() -> int:
    """Say who runs here and where; exit code 3 when nobody does."""
    home = open_home()
    holder = lock.read_note(home)
    if holder is None:
        say(f"Sagadesk does not run here (home {home.root}). Start it with: make run")
        return NOT_RUNNING
    say(f"Sagadesk runs at {holder['address'] or 'no address'} (process {holder['pid']})")
    for name, pid in holder["processes"].items():
        say(f"  {name:<10} process {pid}{'' if _lives(pid) else ', not running'}")
    if home.servers_env.exists():
        say("".join(f"  {line}\n" for line in home.servers_env.read_text().splitlines()).rstrip())
    say(f"  logs       {home.logs}/")
    return 0


def reset(*, confirmed: bool) -> int:
    """Remove the servers' data and everything else at home, after a question."""
    home = open_home()
    with lock.hold(home):
        if not confirmed and input(f"Remove all data in {home.root}? [y/N] ").lower() != "y":
            say("Nothing was removed.")
            return 1
        remove_home(home)
    say(f"{home.root} is removed.")
    return 0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
