"""One launcher per home: a lock the kernel drops with its process, and a note who holds it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from config.embedded.exceptions import AlreadyRunning
from config.embedded.home import Home


@contextmanager
def hold(home: Home, *, address: str = "") -> Iterator[None]:
    """Hold the home while the block runs; raise AlreadyRunning when another launcher does."""
    with _lock_file(home).open("w") as file:
        if not _take(file, seconds=0.3):
            raise AlreadyRunning(describe_holder(home))
        note(home, address=address, processes={})
        try:
            yield
        finally:
            _note_file(home).unlink(missing_ok=True)


def note(home: Home, *, address: str, processes: dict[str, int]) -> None:
    """Write down who runs here: `{"pid": 1, "address": "http://…", "processes": {"web": 2}}`."""
    draft = _note_file(home).with_suffix(".new")
    draft.write_text(
        json.dumps({"pid": os.getpid(), "address": address, "processes": processes}, indent=1)
    )
    draft.replace(_note_file(home))


def read_note(home: Home) -> dict[str, Any] | None:
    """Return the note of the launcher that runs here, None when none does."""
    with _lock_file(home).open("a") as file:
        if _take(file):
            return None
    try:
        holder: dict[str, Any] = json.loads(_note_file(home).read_text())
    except FileNotFoundError:
        return {"pid": 0, "address": "", "processes": {}}  # it has only just begun
    return holder


def describe_holder(home: Home) -> str:
    holder = read_note(home) or {"pid": 0, "address": ""}
    place = f" at {holder['address']}" if holder["address"] else ""
    pid = holder["pid"]
    return (
        f"Sagadesk already runs{place}"
        + (f" (process {pid}).\nStop it with Ctrl-C where it runs, or: kill {pid}" if pid else ".")
        + "\nFor a second one beside it: SAGADESK_HOME=/another/folder make run PORT=9000"
    )


def _take(file: IO[str], *, seconds: float = 0) -> bool:
    """Take the lock unless another has it; the seconds outlast one that only looks."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _lock_file(home: Home) -> Path:
    return home.root / "lock"


def _note_file(home: Home) -> Path:
    return home.root / "running.json"
