"""One program that we start, watch and stop."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from config.embedded.account import Account
from config.embedded.exceptions import EmbeddedError

LARGEST_LOG = 10 * 1024 * 1024
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """A program in a session of its own, so that Ctrl-C reaches it only through `stop`."""

    name: str
    argv: list[str]
    log: Path
    env: dict[str, str] | None = None
    folder: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the program; it ends with us, however we end."""
        trim(self.log)
        account = self.account
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.folder,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                preexec_fn=die_with_parent(self.stop_signal),
            )

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def is_ready(self) -> bool:
        """Say whether the program serves; without a way to know, whether it runs."""
        return self.is_alive()

    def wait_ready(self, seconds: float) -> None:
        """Wait until the program serves; start it again once a second when it gives up."""
        deadline = time.monotonic() + seconds
        restart_at = time.monotonic() + 1
        while not self.is_ready():
            now = time.monotonic()
            if now > deadline:
                raise EmbeddedError(
                    f"{self.name} did not start in {seconds:.0f} seconds; "
                    f"the end of {self.log}:\n{self.tail()}"
                )
            if not self.is_alive() and now > restart_at:
                self.reap()
                self.start()
                restart_at = now + 1
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask the program to end, kill it when it does not, and leave nothing of it behind."""
        if self.is_alive() and self.process:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(self.stop_seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reap()

    def reap(self) -> None:
        """Kill what an ended program left running in its process group."""
        if self.process and self.process.poll() is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return

    def ending(self) -> str:
        """Say in words how the program ended."""
        code = self.process.poll() if self.process else None
        if code is None:
            return "runs"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"

    def tail(self, lines: int = 12) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            text = file.read().decode(errors="replace")
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


def trim(log: Path) -> None:
    """Put a log that grew large aside as `<name>.log.1` and go on with an empty one.

    Copied, not renamed: the program keeps writing to the file it has open.
    """
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)


def die_with_parent(signal_number: signal.Signals) -> Callable[[], None] | None:
    """Return what makes a child get the signal when its parent dies (Linux only)."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal_number))
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask_kernel
