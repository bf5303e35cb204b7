"""The folder that holds an installation's state: `$SAGADESK_HOME`, by default `.sagadesk/`.

    lock, running.json     who runs here
    servers.env            DATABASE_URL and REDIS_URL, read by the settings
    logs/                  one file per program
    postgres/, valkey/     data; run/ the sockets

Root's servers run as another user. Where that user cannot enter this folder (a checkout under
/root), the last three are kept in SYSTEM_STATE instead.
"""

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from config.embedded.account import Account, can_enter, choose_account, make_private
from config.embedded.exceptions import EmbeddedError

PROJECT = Path(__file__).resolve().parent.parent.parent
SYSTEM_STATE = Path("/var/lib/sagadesk")
# A socket's address holds 108 bytes on Linux and 104 on macOS, its end included.
LONGEST_SOCKET_PATH = 100
LONGEST_SOCKET_NAME = ".s.PGSQL.5432"


@dataclass(frozen=True)
class Home:
    root: Path
    state: Path
    account: Account | None

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def servers_env(self) -> Path:
        return self.root / "servers.env"

    @property
    def sockets(self) -> Path:
        """The folder of the sockets, a short one elsewhere where ours makes their path too long.

        Paths with other than plain characters are left as well, so that no URL needs quoting.
        """
        folder = self.state / "run"
        address = f"{folder}/{LONGEST_SOCKET_NAME}"
        if len(address) <= LONGEST_SOCKET_PATH and re.fullmatch(r"[\w./+-]+", address, re.ASCII):
            return folder
        return Path("/tmp") / f"sagadesk-{os.geteuid()}-{_digest(self.root)}"  # noqa: S108

    def make_sockets(self) -> Path:
        folder = self.sockets
        if folder.parent != self.state:
            _claim(folder, self.account)
        return make_private(folder, self.account)

    def remove_sockets(self) -> None:
        """Remove the folder of the sockets once both servers have ended."""
        shutil.rmtree(self.sockets, ignore_errors=True)

    def write_servers_env(self, urls: dict[str, str]) -> None:
        draft = self.servers_env.with_suffix(".new")
        draft.write_text("".join(f"{name}={url}\n" for name, url in urls.items()))
        draft.replace(self.servers_env)


def open_home(root: Path | None = None) -> Home:
    """Make the home (from SAGADESK_HOME unless given) and say where its servers keep their data."""
    root = (root or Path(os.environ.get("SAGADESK_HOME") or PROJECT / ".sagadesk")).absolute()
    try:
        # WhiteNoise warns when its folder is missing, even an empty one.
        for name in ("logs", "staticfiles"):
            (root / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"The home {root} cannot be made: {error.strerror}.\n"
            "Choose a folder you may write to: SAGADESK_HOME=/some/folder"
        ) from None
    account = choose_account(root / "postgres")
    if account is None:
        return Home(root, root, None)
    if can_enter(root, account):
        return Home(root, root, account)
    state = SYSTEM_STATE / _digest(root)
    state.mkdir(parents=True, exist_ok=True)
    for folder in (SYSTEM_STATE, state):
        folder.chmod(0o711)
    return Home(root, state, choose_account(state / "postgres"))


def make_temporary_home() -> Home:
    """Make a new empty home in the temp folder; `remove_home` ends it."""
    account = choose_account(Path("/nonexistent"))
    candidates = (Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108
    parent = next((folder for folder in candidates if can_enter(folder, account)), candidates[-1])
    folder = Path(tempfile.mkdtemp(prefix="sagadesk-", dir=parent))
    folder.chmod(0o711 if account else 0o700)
    return open_home(folder)


def remove_home(home: Home) -> None:
    for folder in {home.root, home.state}:
        shutil.rmtree(folder, ignore_errors=True)


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def _claim(folder: Path, account: Account | None) -> None:
    """Take a folder in a place everyone may write to, unless somebody else made it first."""
    folder.mkdir(mode=0o700, exist_ok=True)
    owners = {os.geteuid(), account.uid if account else os.geteuid()}
    status = folder.lstat()
    if status.st_uid not in owners or folder.is_symlink():
        raise EmbeddedError(
            f"{folder} belongs to another user. Remove it, or shorten the path of SAGADESK_HOME."
        )
