"""`make run`: the servers and every program of the console under one process."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import NoReturn

from config.embedded import lock
from config.embedded.child import Child
from config.embedded.console import say
from config.embedded.exceptions import EmbeddedError
from config.embedded.home import PROJECT, Home, open_home
from config.embedded.keeper import Keeper
from config.embedded.port import answers, check_free
from config.embedded.programs import build_programs
from config.embedded.servers import Servers, serve

WEB_READY_SECONDS = 60
LOOK_SECONDS = 0.2
SHOWN_LINES = 20


@dataclass(frozen=True)
class Options:
    port: int
    workers: int
    demo: bool

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


def run(options: Options) -> int:
    """Run everything until SIGINT or SIGTERM, then stop it in order."""
    home = open_home()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with lock.hold(home, address=options.address):
            check_free(options.port)
            say("Starting PostgreSQL and Valkey ...")
            with serve(home) as servers:
                Supervisor(servers, options).run()
    except KeyboardInterrupt:
        say("Sagadesk has stopped.")
    return 0


class Supervisor:
    """Runs the programs of the console over servers that are up."""

    def __init__(self, servers: Servers, options: Options) -> None:
        self.servers = servers
        self.options = options
        self.programs: list[Child] = []
        self.keeper = Keeper(on_restart=self.write_note)

    def run(self) -> NoReturn:
        """Start the programs and look after them; KeyboardInterrupt ends it."""
        began = time.monotonic()
        try:
            say("Preparing the database ...")
            operator = prepare_database(self.servers)
            say("Starting the console ...")
            self.start()
            say(welcome(self.servers.home, self.options, operator=operator))
            say(f"(ready after {time.monotonic() - began:.1f} seconds)")
            while True:
                self.keeper.look()
                time.sleep(LOOK_SECONDS)
        finally:
            # A second Ctrl-C must not interrupt the stop that the first one began.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            say("\nStopping ...")
            for child in reversed(self.programs):
                child.stop()

    def start(self) -> None:
        """Start the programs and wait until the console answers."""
        self.programs = build_programs(
            self.servers.home,
            self.servers.environment(),
            port=self.options.port,
            workers=self.options.workers,
        )
        if not self.options.demo:
            self.programs = [child for child in self.programs if child.name != "demo"]
        for child in self.programs:
            child.start()
        for child in (*self.servers.children, *self.programs):
            self.keeper.keep(child)
        self.write_note()
        web = next(child for child in self.programs if child.name == "web")
        wait_for_web(web, self.options.port)

    def write_note(self) -> None:
        children = (*self.servers.children, *self.programs)
        lock.note(
            self.servers.home,
            address=self.options.address,
            processes={child.name: child.pid for child in children},
        )


def prepare_database(servers: Servers) -> str:
    """Apply the migrations and make the first operator; return what is to be said about it."""
    manage(servers, "migrate", "--verbosity=1")
    return manage(servers, "ensure_operator").strip()


def manage(servers: Servers, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=servers.environment(),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()[-SHOWN_LINES:]
        raise EmbeddedError("\n    ".join([f"`manage.py {arguments[0]}` failed:", *lines]))
    return done.stdout


def wait_for_web(web: Child, port: int) -> None:
    """Return once the console answers; raise with the end of its log when it does not come up."""
    deadline = time.monotonic() + WEB_READY_SECONDS
    while not answers(port):
        if not web.is_alive() or time.monotonic() > deadline:
            raise EmbeddedError(
                f"The console did not start; the end of {web.log}:\n{web.tail(lines=SHOWN_LINES)}"
            )
        time.sleep(0.1)


def welcome(home: Home, options: Options, *, operator: str) -> str:
    """Say where to look, who may enter and how to stop."""
    address = options.address
    return f"""
Sagadesk runs at {address}
{operator}

  Overview       {address}
  Sagas          {address}sagas/
  Dead letters   {address}letters/
  API            {address}api/v1/docs/

  Logs           {home.logs}/
  Stop           Ctrl-C
"""
