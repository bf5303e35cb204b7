"""What an operator does when sagas have failed, in a real browser, on everything running."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import orders
from tests.browser.stack import Stack

pytestmark = pytest.mark.browser


def test_the_overview_shows_what_became_of_the_orders(page: Page, stack: Stack) -> None:
    orders.place(stack).wait_for("completed")
    orders.place(stack, country=orders.NOWHERE).wait_for("compensated")
    orders.place_stuck(stack)

    page.reload()

    expect(page.get_by_role("heading", name="What needs you")).to_be_visible()
    expect(page.get_by_text("releaseStock is unavailable.").first).to_be_visible()
    for name in ("Completed", "Compensated", "Failed"):
        figure = page.get_by_text(name, exact=True).first.locator("xpath=..")
        assert any(character in "123456789" for character in figure.inner_text()), name


def test_an_operator_retries_a_failed_undo(page: Page, stack: Stack) -> None:
    order = orders.place_stuck(stack)
    orders.mend(order)
    page.goto(order.page)
    page.get_by_role("link", name="Retry").click()
    dialog = page.locator("dialog[open]")
    expect(dialog.get_by_text("releaseStock")).to_be_visible()

    dialog.get_by_label("Reason").fill("the warehouse answers again")
    dialog.get_by_role("button").filter(has_text="Retry").click()

    expect(page.locator("#head .status").first).to_have_text("compensated")
    assert set(order.effects().values()) == {"undone"}


def test_an_operator_undoes_a_step_by_hand(page: Page, stack: Stack) -> None:
    order = orders.place_stuck(stack)
    assert order.effects()["reserveInventory"] == "active"
    orders.mend(order)
    orders.release_by_hand(order)
    page.goto(order.page)
    page.get_by_role("link", name="Mark as done by hand").click()
    dialog = page.locator("dialog[open]")

    dialog.get_by_label("Evidence").fill("released by telephone, reference 4711")
    dialog.get_by_label("Reason").fill("their system is down")
    dialog.get_by_role("button").filter(has_text="Mark").click()

    expect(page.locator("#head .status").first).to_have_text("compensated")
    assert set(order.effects().values()) == {"undone"}
    page.goto(f"{stack.address}audit/")
    expect(page.get_by_text("their system is down").first).to_be_visible()


def test_the_participants_tables_agree_with_the_sagas(stack: Stack) -> None:
    orders.place(stack).wait_for("completed")
    orders.place(stack, country=orders.NOWHERE).wait_for("compensated")
    orders.place_stuck(stack)

    checked = stack.manage(
        "check_effects", "--data", str(stack.home / "participants"), "--allow-moving"
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_keys_move_through_the_list_and_open_a_saga(page: Page, stack: Stack) -> None:
    orders.place(stack)
    orders.place(stack)
    page.goto(f"{stack.address}sagas/")

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="History")).to_be_visible()


def test_new_rows_are_offered_and_move_nothing_until_asked_for(page: Page, stack: Stack) -> None:
    orders.place(stack)
    page.goto(f"{stack.address}sagas/")
    first = page.locator("tbody tr a").first
    before = first.inner_text()
    offer = page.get_by_role("link").or_(page.get_by_role("button")).filter(has_text="new row")

    orders.place(stack)

    expect(offer.first).to_be_visible()
    expect(first).to_have_text(before)
    offer.first.click()
    expect(first).not_to_have_text(before)
