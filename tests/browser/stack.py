"""The whole console as `make run` starts it, in a throw-away home, and a browser to use it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import urllib3
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.loopback import free_port

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Everything starts and answers within seconds; a machine that does a lot besides takes longer.
PATIENCE_S = 180
PAGE_PATIENCE_S = 60


class Stack(NamedTuple):
    """A running console: its address, its home, and the first operator's password and token."""

    address: str
    home: Path
    password: str
    token: str = ""

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run manage.py beside it."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=clean_environment(self.home),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET a path of the API as the operator, or POST to it, and return the JSON."""
        answer = urllib3.request(
            "GET" if body is None else "POST",
            f"{self.address}api/v1/{path}",
            json=body,
            headers={"Authorization": f"Token {self.token}"},
        )
        assert answer.status < 300, answer.data
        return answer.json()

    def participants(self) -> str:
        """Return the address of the demo's participants."""
        return find_participants(self.home)[-1]

    def processes(self) -> dict[str, int]:
        return dict(json.loads((self.home / "running.json").read_text())["processes"])


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment in which the embedded servers of that home are used."""
    mine = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    return kept | {"SAGADESK_HOME": str(home), "PYTHONUNBUFFERED": "1"}


def find_participants(home: Path) -> list[str]:
    """Return the addresses at which the demo has said that its participants are."""
    log = home / "logs" / "demo.log"
    return re.findall(r"Participants at (\S+):", log.read_text()) if log.exists() else []


@contextmanager
def running_stack(home: Path) -> Iterator[Stack]:
    """Run everything, the demo included, until the block ends."""
    port = free_port()
    output = home.parent / f"{home.name}.out"
    with output.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.embedded", "run", "--port", str(port)],
            cwd=ROOT,
            env=clean_environment(home),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: "(ready after" in output.read_text() or process.poll() is not None,
            within_s=PATIENCE_S,
        )
        found = re.search(r"with the password (\S+)", output.read_text())
        if found is None:
            raise RuntimeError(f"The console did not start:\n{output.read_text()}")
        stack = Stack(f"http://127.0.0.1:{port}/", home, found[1])
        shown = stack.manage("drf_create_token", "operator").stdout
        wait_until(lambda: find_participants(home))
        yield stack._replace(token=shown.split()[2])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE_S)


def wait_until(condition: Callable[[], Any], *, within_s: float = PATIENCE_S) -> Any:
    """Return what the condition gives as soon as it holds; TimeoutError when it never does."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"not within {within_s:g} s")


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run Chromium; what a test expects of a page may take its time."""
    expect.set_options(timeout=PAGE_PATIENCE_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def log_in(context: BrowserContext, stack: Stack) -> Page:
    """Log the first operator in and return the overview."""
    page = context.new_page()
    page.set_default_timeout(PAGE_PATIENCE_S * 1000)
    page.goto(stack.address)
    page.fill("input[name=username]", "operator")
    page.fill("input[name=password]", stack.password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "login" not in url)
    return page
