"""Who the servers run as. PostgreSQL refuses root, so root hands them to another user."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from config.embedded.exceptions import EmbeddedError

DEFAULT_USER = "nobody"


@dataclass(frozen=True)
class Account:
    """An unprivileged user that root starts the servers as."""

    name: str
    uid: int
    gid: int


def choose_account(data: Path) -> Account | None:
    """Return the user to drop to, or None when we are an ordinary user already.

    Data that exists keeps its owner; otherwise SAGADESK_SERVER_USER or `nobody` is taken.
    """
    if os.geteuid() != 0:
        return None
    owner = data.stat().st_uid if data.exists() else 0
    name = os.environ.get("SAGADESK_SERVER_USER", DEFAULT_USER)
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam(name)
    except KeyError:
        raise EmbeddedError(
            f"PostgreSQL refuses root, and there is no user {owner or name!r} to run it as.\n"
            "Start as an ordinary user, or name an existing one: SAGADESK_SERVER_USER=somebody"
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def can_enter(path: Path, account: Account | None) -> bool:
    """Say whether the account may pass every folder down to `path`, and enter or run it."""
    if account is None:
        return True
    resolved = path.resolve()
    return all(_may_execute(part, account) for part in (resolved, *resolved.parents))


def _may_execute(path: Path, account: Account) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def make_private(folder: Path, account: Account | None) -> Path:
    """Make a folder that only the servers' user (and root) can enter."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if account:
            os.chown(folder, account.uid, account.gid)
        folder.chmod(0o700)
    except PermissionError:
        raise EmbeddedError(
            f"{folder} belongs to another user, probably because root started Sagadesk before.\n"
            "Start it as that user again, or choose another home: SAGADESK_HOME=/some/folder"
        ) from None
    return folder
