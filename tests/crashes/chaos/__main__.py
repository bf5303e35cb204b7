"""One run of chaos: `python -m tests.crashes.chaos --seconds 60 --seed 7`."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from config.embedded.child import Child
from config.embedded.console import say, say_now
from config.embedded.home import make_temporary_home, remove_home
from config.embedded.servers import Servers, serve
from config.embedded.supervisor import manage, wait_for_web
from tests.crashes.chaos.processes import (
    WORKERS,
    beat,
    console,
    count,
    python,
    started,
    until,
    worker,
)
from tests.crashes.chaos.striking import LONGEST_STOP_S, Chaos
from tests.loopback import free_port

if TYPE_CHECKING:
    from tests.crashes.chaos.stories import Tokens

# The first start is acknowledged within this time, and what is left to do when the blows end is
# done within that one, or never.
BEGUN_WITHIN_S = 60.0
REST_WITHIN_S = 240.0
MOVING = "SELECT count(*) FROM sagas_saga WHERE status IN ('running', 'compensating')"
UNPUBLISHED = "SELECT count(*) FROM outbox_delivery"


class Run:
    """Everything of one run, over servers that are up."""

    def __init__(self, servers: Servers, stack: ExitStack, *, seed: int) -> None:
        self.servers, self.stack, self.seed = servers, stack, seed
        root = servers.home.root
        self.data = root / "participants"
        self.records = [root / "customers.json", root / "operators.json"]
        for record in self.records:
            record.touch()
        self._services, self._web = free_port(), free_port()

    def play(self, seconds: float) -> list[str]:
        """Let chaos rage; return what is wrong afterwards."""
        tokens = self._prepare()
        struck = [*self._programs(), *self.servers.children]
        longest_stop_s = min(LONGEST_STOP_S, seconds / 6)
        chaos = Chaos(struck, seed=self.seed, longest_stop_s=longest_stop_s)
        for child in struck:
            if not child.is_alive():
                self.stack.enter_context(started(child))
        wait_for_web(next(child for child in struck if child.name == "web"), self._web)
        customers, operators = (self.stack.enter_context(started(c)) for c in self._users(tokens))
        customs = self.records[0]
        begun_by = time.monotonic() + BEGUN_WITHIN_S
        assert until(lambda: customs.stat().st_size, chaos.look, give_up_at=begun_by)
        chaos.rage(seconds)
        say_now(f"{chaos.strikes} strikes; now everything comes to rest")
        return [*self._rest(customers, operators, chaos.look), *self._judge()]

    def _prepare(self) -> Tokens:
        """Migrate, and store what customers ask for; from here on this process knows Django."""
        os.environ.update(self.servers.urls, SAGADESK_HOME=str(self.servers.home.root))
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        manage(self.servers, "migrate", "--verbosity=0")
        import django

        django.setup()
        from tests.crashes.chaos.stories import prepare

        return prepare(f"http://127.0.0.1:{self._services}")

    def _programs(self) -> list[Child]:
        """Return whatever is struck beside the servers: the engine, the console, the services."""
        from tests.crashes.chaos.stories import COMMANDS, FAULTS, HTTP_SERVICES

        http = [word for name in HTTP_SERVICES for word in ("--service", name)]
        faults = [word for fault in FAULTS for word in ("--fault", *fault)]
        where = ["--port", str(self._services), "--data", str(self.data)]
        messages = ["-m", "tests.crashes.chaos.messages", COMMANDS, str(self.data)]
        self.data.mkdir()
        return [
            *(worker(self.servers, f"worker{number}") for number in range(WORKERS)),
            beat(self.servers),
            console(self.servers, self._web),
            python(self.servers, "services", "-m", "examples.participants", *http, *where, *faults),
            python(self.servers, "messages", *messages),
        ]

    def _users(self, tokens: Tokens) -> list[Child]:
        address = f"http://127.0.0.1:{self._web}"
        customs, orders = map(str, self.records)
        package = "tests.crashes.chaos"
        return [
            python(
                self.servers,
                "customers",
                *("-m", f"{package}.customers", address, tokens.program, customs),
            ),
            python(
                self.servers,
                "operators",
                *("-m", f"{package}.operators", address, tokens.lead, orders, str(self.seed)),
            ),
        ]

    def _rest(self, customers: Child, operators: Child, look: Callable[[], None]) -> Iterator[str]:
        """Wait until nothing moves any more; give what does not come to rest."""
        give_up_at = time.monotonic() + REST_WITHIN_S
        for child in (customers, operators):
            assert child.process is not None
            child.process.send_signal(signal.SIGTERM)
            if not until(lambda child=child: not child.is_alive(), look, give_up_at=give_up_at):
                yield f"the {child.name} do not come to an end"
            elif child.process.returncode:
                yield f"the program of {child.name} {child.ending()}:\n{child.tail()}"
        url = self.servers.urls["DATABASE_URL"]
        for what, query in {
            "sagas still move": MOVING,
            "messages are not published": UNPUBLISHED,
        }.items():
            if not until(lambda query=query: count(url, query) == 0, look, give_up_at=give_up_at):
                yield f"{count(url, query)} {what}"

    def _judge(self) -> list[str]:
        from tests.crashes.chaos.judging import idle, judge_all, tell
        from tests.crashes.chaos.logs import complaints
        from tests.crashes.chaos.records import read_promises

        promises = read_promises(*self.records)
        tell(promises)
        said = complaints(self.servers.home.logs)
        return [*judge_all(promises, self.data), *idle(promises), *said]


def run(seconds: float, seed: int) -> list[str]:
    home = make_temporary_home()
    with ExitStack() as stack:
        stack.callback(remove_home, home)
        servers = stack.enter_context(serve(home))
        one = Run(servers, stack, seed=seed)
        wrong = one.play(seconds)
        if wrong:
            kept = Path(tempfile.mkdtemp(prefix="sagadesk-chaos-"))
            shutil.copytree(home.logs, kept, dirs_exist_ok=True)
            for record in one.records:
                shutil.copy(record, kept)
            say(f"The logs are kept in {kept}.")
        return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    say(f"Chaos for {options.seconds:g} s, SEED={options.seed}")
    # Whatever happens, it ends: the children end with this process.
    signal.alarm(int(options.seconds + REST_WITHIN_S + 240))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wrong = run(options.seconds, options.seed)
    for what in wrong:
        say(f"WRONG: {what}")
    say(f"{len(wrong)} findings, SEED={options.seed}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
