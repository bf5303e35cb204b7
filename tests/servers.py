"""Servers for the tests: temporary PostgreSQL and Valkey, unless the environment names others.

Loaded with `-p` (see pyproject.toml), so that they are up before the settings are read. With
xdist only the first process starts them; each of its workers gets a Redis database of its own.
"""

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from config.embedded.exceptions import EmbeddedError
from config.embedded.servers import serve_temporarily

LARGEST_REDIS_DATABASE = 15


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        os.environ["REDIS_URL"] = choose_database(os.environ["REDIS_URL"], worker)
    else:
        try:
            start_servers(early_config)
        except EmbeddedError as error:
            raise pytest.UsageError(str(error)) from None
    return (yield)


def start_servers(config: pytest.Config) -> None:
    """Point the environment at temporary servers and a temporary home, until pytest ends."""
    stack = contextlib.ExitStack()
    config.add_cleanup(stack.close)
    if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="sagadesk-"))
        Path(home, "staticfiles").mkdir()
        environment = {"SAGADESK_HOME": home}
    else:
        environment = stack.enter_context(serve_temporarily()).environment()
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    for name in ("DATABASE_URL", "REDIS_URL", "SAGADESK_HOME"):
        if name in environment:
            patch.setenv(name, environment[name])


def choose_database(url: str, worker: str) -> str:
    """Return the URL of the Redis database of an xdist worker (`gw0`, `gw1`, …)."""
    parts = urlsplit(url)
    is_socket = parts.scheme == "unix"
    given = parse_qs(parts.query).get("db", ["0"])[0] if is_socket else parts.path.strip("/")
    database = int(given or 0) + int(worker.removeprefix("gw"))
    if database > LARGEST_REDIS_DATABASE:
        raise pytest.UsageError(f"Redis database {database} is needed; use fewer workers (-n)")
    if is_socket:
        return f"unix://{parts.path}?db={database}"
    return parts._replace(path=f"/{database}").geturl()
