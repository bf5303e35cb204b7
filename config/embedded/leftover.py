"""A server that outlived its launcher: it must end before the next one takes its place.

It would otherwise keep its data locked, and remove the new server's socket when it ends.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from config.embedded.exceptions import EmbeddedError

WAIT_SECONDS = 20.0


def end_leftover(pid_file: Path, *, marker: str, signal_number: signal.Signals) -> None:
    """End the server that a pid file names; a number that another program has now is dropped.

    `marker` is a part of the server's command line that no other program has.
    """
    pid = read_pid(pid_file)
    if not pid or not (command := command_of(pid)):
        return
    if marker not in command:
        pid_file.unlink(missing_ok=True)
        return
    os.kill(pid, signal_number)
    deadline = time.monotonic() + WAIT_SECONDS
    while marker in command_of(pid):
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"An old server (process {pid}: {command.strip()}) does not stop.\n"
                f"End it, then start again: kill -QUIT {pid}"
            )
        time.sleep(0.05)


def read_pid(pid_file: Path) -> int:
    """Return the process id in the first line, 0 when there is none."""
    try:
        first = pid_file.read_text().split("\n", 1)[0].strip()
    except FileNotFoundError:
        return 0
    return int(first) if first.isdigit() else 0


def command_of(pid: int) -> str:
    """Return the command line of a process, nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        if Path("/proc/self/cmdline").exists():
            return ""
    ps = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
    return ps.stdout.decode(errors="replace")
