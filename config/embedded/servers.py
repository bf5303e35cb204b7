"""Both servers together, minus those that the environment already names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from config.embedded.child import Child
from config.embedded.home import Home, make_temporary_home, remove_home
from config.embedded.postgres import build_postgres
from config.embedded.valkey import build_valkey

READY_SECONDS = 60


class Builder(Protocol):
    def __call__(self, home: Home, *, durable: bool) -> tuple[Child, str]: ...


BUILDERS: dict[str, Builder] = {"REDIS_URL": build_valkey, "DATABASE_URL": build_postgres}


@dataclass(frozen=True)
class Servers:
    home: Home
    children: list[Child]
    # DATABASE_URL and REDIS_URL of the children.
    urls: dict[str, str]

    def environment(self) -> dict[str, str]:
        """Return our environment with the addresses of these servers."""
        return os.environ | self.urls | {"SAGADESK_HOME": str(self.home.root)}


@contextmanager
def serve(home: Home, *, durable: bool = True) -> Iterator[Servers]:
    """Run the servers while the block runs. The caller holds the home's lock."""
    children: list[Child] = []
    urls: dict[str, str] = {}
    try:
        for name, build in BUILDERS.items():
            if os.environ.get(name):
                continue
            child, urls[name] = build(home, durable=durable)
            children.append(child)
            child.start()
        for child in children:
            child.wait_ready(READY_SECONDS)
        home.write_servers_env(urls)
        yield Servers(home, children, urls)
    finally:
        for child in reversed(children):
            child.stop()
        home.servers_env.unlink(missing_ok=True)
        home.remove_sockets()


@contextmanager
def serve_temporarily() -> Iterator[Servers]:
    """Run servers over a new home that is thrown away, without the cost of durability."""
    home = make_temporary_home()
    try:
        with serve(home, durable=False) as servers:
            yield servers
    finally:
        remove_home(home)
