"""What JavaScript adds, in a real browser: dialogs, keys, and the live refresh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from playwright.sync_api import Page, expect

from sagas.models import Saga
from tests.browser.stack import running_browser
from tests.console.builders import make_saga

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _share_the_database_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright runs an event loop in this thread, which is no reason to refuse the ORM."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture
def browser_page(live_server: Any, admin: Client) -> Iterator[Page]:
    with running_browser() as browser:
        context = browser.new_context(base_url=live_server.url, locale="en")
        session = admin.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        yield context.new_page()
        context.close()
        # Inside the event loop Django had a connection of its own.
        connections.close_all()


def test_retry_is_two_keys_and_a_reason_away(browser_page: Page) -> None:
    saga = make_saga("failed")
    browser_page.goto("/sagas/?status=failed")

    browser_page.keyboard.press("j")
    browser_page.keyboard.press("r")
    browser_page.get_by_label("Reason").fill("stock is back")
    browser_page.get_by_role("dialog").get_by_role("button", name="Retry").click()

    expect(browser_page.get_by_text("order-1 is tried again.")).to_be_visible()
    saga.refresh_from_db()
    assert saga.status == Saga.Status.RUNNING


def test_rows_keep_their_places_while_the_list_changes(browser_page: Page) -> None:
    for n in range(3):
        make_saga("failed", business_key=f"order-{n}")
    browser_page.goto("/sagas/?status=failed")
    rows = browser_page.locator("#rows tbody tr")

    Saga.objects.filter(business_key="order-1").update(status="abandoned")
    make_saga("failed", business_key="order-3")

    expect(rows.nth(1)).to_have_class("is-gone")
    expect(browser_page.get_by_text("One new row above — show it")).to_be_visible()
    expect(rows).to_have_count(3)


def test_page_of_a_saga_follows_it(browser_page: Page) -> None:
    saga = make_saga("failed")
    browser_page.goto(f"/sagas/{saga.pk}/")

    Saga.objects.filter(pk=saga.pk).update(status="abandoned")

    expect(browser_page.locator("#head .status").first).to_have_text("abandoned")


def test_phone_shows_every_page_without_scrolling_sideways(browser_page: Page) -> None:
    saga = make_saga("failed", business_key="a-key-without-any-break-" * 6)
    browser_page.set_viewport_size({"width": 390, "height": 800})

    for path in ("/", "/sagas/", f"/sagas/{saga.pk}/", "/letters/", "/outbox/", "/audit/"):
        browser_page.goto(path)
        assert browser_page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    browser_page.get_by_role("button", name="Menu").click()
    expect(browser_page.get_by_role("link", name="Participants")).to_be_visible()


def test_escape_closes_a_menu_and_gives_the_focus_back(browser_page: Page) -> None:
    browser_page.goto("/sagas/")
    theme = browser_page.locator("summary[aria-label=Theme]")

    theme.focus()
    browser_page.keyboard.press("Enter")
    expect(browser_page.get_by_role("button", name="Dark")).to_be_visible()
    browser_page.keyboard.press("Tab")
    browser_page.keyboard.press("Escape")

    expect(browser_page.get_by_role("button", name="Dark")).to_be_hidden()
    expect(theme).to_be_focused()


def test_dialog_begins_at_the_reason_and_gives_the_focus_back(browser_page: Page) -> None:
    saga = make_saga("failed")
    browser_page.goto(f"/sagas/{saga.pk}/")
    retry = browser_page.get_by_role("link", name="Retry")

    retry.focus()
    browser_page.keyboard.press("Enter")
    expect(browser_page.get_by_label("Reason")).to_be_focused()
    browser_page.keyboard.press("Escape")

    expect(retry).to_be_focused()


def test_long_dialog_begins_at_its_top(browser_page: Page) -> None:
    browser_page.set_viewport_size({"width": 390, "height": 600})
    browser_page.goto("/schedules/")

    browser_page.get_by_role("link", name="Set a schedule").click()

    dialog = browser_page.locator("dialog[open]")
    expect(dialog.get_by_label("Name")).to_be_focused()
    expect(dialog.get_by_role("heading", name="Set a schedule")).to_be_in_viewport()


def test_nothing_that_has_the_focus_lies_under_the_bar(browser_page: Page) -> None:
    for n in range(40):
        make_saga("failed", business_key=f"order-{n}")
    browser_page.goto("/sagas/")
    links = browser_page.locator("#rows td.key a")

    links.last.focus()
    tops = []
    for _ in range(60):
        browser_page.keyboard.press("Shift+Tab")
        tops.append(browser_page.evaluate("document.activeElement.getBoundingClientRect().top"))

    bar = browser_page.evaluate("document.querySelector('.topbar').offsetHeight")
    assert min(tops) >= bar


def test_dialog_closes_with_escape_and_gives_the_page_back(browser_page: Page) -> None:
    saga = make_saga("failed")
    browser_page.goto(f"/sagas/{saga.pk}/")

    browser_page.get_by_role("link", name="Compensate").click()
    expect(browser_page.get_by_role("dialog")).to_be_visible()
    browser_page.keyboard.press("Escape")

    expect(browser_page.get_by_role("dialog")).to_be_hidden()
    assert browser_page.url.endswith(f"/sagas/{saga.pk}/")
