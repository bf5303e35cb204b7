"""One running console for all browser tests: starting it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.stack import CHROMIUM, Stack, log_in, running_browser, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("console") / "home") as stack:
        yield stack


# Not for the session: while it runs, no other test of this thread can start a browser.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.fail(f"No Chromium at {CHROMIUM}: install it, or name another one in CHROMIUM.")
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """The overview, logged in, in a fresh profile; a script error on any page fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = log_in(context, stack)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []
