"""Take pictures of the console with the demo.

python -m tests.browser.screenshots             the few of the docs, to docs/screenshots
python -m tests.browser.screenshots FOLDER      every page: light, dark, narrow, in Korean
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from tests.browser.stack import ROOT, Stack, log_in, running_browser, running_stack, wait_until

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": WIDE, "color_scheme": "light"},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
    "narrow": {"viewport": NARROW, "color_scheme": "light", "device_scale_factor": 2},
    "korean": {"viewport": WIDE, "color_scheme": "light", "locale": "ko-KR"},
}


IN_DOCS = {
    ("overview", "light"),
    ("overview", "korean"),
    ("saga", "dark"),
    ("saga", "narrow"),
    ("retry", "light"),
}


def main(folder: Path, *, only: set[tuple[str, str]] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, running_stack(Path(home) / "home") as stack:
        failed = wait_until(
            lambda: stack.api("sagas/?status=failed&business_key=TRIP-00008")["results"],
            within_s=120,
        )
        pages = {
            "overview": "",
            "sagas": "sagas/",
            "saga": f"sagas/{failed[0]['id']}/",
            "retry": f"sagas/{failed[0]['id']}/retry/",
            "dead-letters": "letters/",
            "outbox": "outbox/",
            "participants": "participants/",
            "definition": "definitions/TravelBookingSaga/1/",
            "audit": "audit/",
        }
        with running_browser() as browser:
            for look, options in LOOKS.items():
                wanted = {
                    name: path
                    for name, path in pages.items()
                    if only is None or (name, look) in only
                }
                take(browser, stack, wanted, folder, look, options)


def take(
    browser: Browser,
    stack: Stack,
    pages: dict[str, str],
    folder: Path,
    look: str,
    options: dict[str, Any],
) -> None:
    context = browser.new_context(**options)
    page = log_in(context, stack)
    for name, path in pages.items():
        page.goto(stack.address + path)
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}-{look}.png")
    context.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        main(ROOT / "docs" / "screenshots", only=IN_DOCS)
