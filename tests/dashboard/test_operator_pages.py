"""The operator's pages in a browser: by the keyboard alone, without scripts, at every width, and as time goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.dashboard.browsing import Window, shown_everywhere
from tests.dashboard.conftest import House

Open = Callable[..., Window]


def enter(house: House, window: Window) -> Page:
    page = window.open(f"/dashboard/login#{house.code()}")
    page.get_by_role("heading", name="Overview").wait_for()
    return page


def tab_to(page: Page, name: str) -> None:
    """Go on with Tab until what has this name is focused."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()")
        if focused == name:
            return
    raise AssertionError(f"no {name!r} on the way")


def test_a_workspace_from_its_beginning_to_its_end_by_keyboard(house: House, open_window: Open) -> None:
    page = enter(house, open_window())
    page.goto("/dashboard/operator/workspaces?search=none-of-this-name")

    def fill(label: str, text: str) -> None:
        tab_to(page, label)
        page.keyboard.press("Control+a")
        page.keyboard.type(text)

    fill("Name", "by-keyboard")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="by-keyboard", exact=True).wait_for()
    fill("US dollars", "12.5")
    fill("What it is for", "a start")
    page.keyboard.press("Enter")
    page.get_by_text("The credit is added.").wait_for()
    tab_to(page, "Take credit back")
    page.keyboard.press("Enter")
    fill("US dollars to take back", "2.25")
    fill("Why it is taken back", "too much")
    fill("The name of the workspace again", "by-keyboard")
    page.keyboard.press("Enter")
    page.get_by_text("The credit is taken back.").wait_for()
    assert page.get_by_text("$10.25", exact=True).is_visible()
    fill("Jobs at once", "4")
    page.keyboard.press("Enter")
    page.get_by_text("The limits are changed.").wait_for()
    tab_to(page, "Erase this workspace")
    page.keyboard.press("Enter")
    fill("The name of the workspace again", "by-keyboard")
    page.keyboard.press("Enter")
    page.get_by_text("The workspace is gone").wait_for()
    assert page.get_by_role("link", name="by-keyboard").count() == 0


def test_without_scripts(house: House, open_window: Open) -> None:
    window = open_window(java_script_enabled=False)
    page = window.open("/dashboard/login")
    page.get_by_label("API key, or the code of a link").fill(house.code())
    page.get_by_role("button", name="Sign in").click()
    page.goto("/dashboard/operator/workspaces")
    page.get_by_label("Name", exact=True).fill("without-scripts")
    page.get_by_role("button", name="Make the workspace").click()
    page.get_by_label("US dollars", exact=True).fill("nothing")
    page.get_by_label("What it is for").fill("a start")
    page.get_by_role("button", name="Add credit").click()
    assert page.get_by_label("What it is for").input_value() == "a start", "what was typed is still there"
    assert "is not an amount" in page.locator("#d-amount").inner_text()
    page.get_by_label("US dollars", exact=True).fill("3")
    page.get_by_role("button", name="Add credit").click()
    assert page.get_by_text("$3.00", exact=True).first.is_visible()
    page.get_by_role("button", name="Look at it").click()
    assert page.get_by_role("link", name="without-scripts").is_visible(), "it is the one that is looked at"
    page.goto("/dashboard/operator/health")
    page.get_by_role("button", name="Check now").click()
    assert page.get_by_role("rowheader", name="media store").is_visible()


def test_the_queue_follows(house: House, open_window: Open) -> None:
    account = house.create()
    page = enter(house, open_window())
    page.goto(f"/dashboard/operator/queue?of={account.workspace}")
    page.get_by_text("Nothing like that is under way.").wait_for()
    page.get_by_label("Workspace").focus()
    with account.http() as client:
        body = {"model": "endless-clip", "prompt": "a boat"}
        made = client.post("/v2/videos/generations", json=body).json()["id"]
    page.get_by_role("link", name=made).wait_for()
    assert page.evaluate("document.activeElement.name") == "of", "who types goes on typing"


@pytest.fixture(scope="module")
def full(house: House) -> str:
    """A workspace with something of everything."""
    account = house.create(credit="12.345", concurrency=9, image_rpm=100)
    with account.http() as client:
        for model in ("still", "failing-image", "refused-image"):
            client.post("/v2/images/generations", json={"model": model, "prompt": "a boat"})
        client.post("/v2/videos/generations", json={"model": "endless-clip", "prompt": "a boat"})
    house.run(
        "update media set deletes_at = now() - interval '3 hours', tombstoned_at = now() where generation_id in"
        " (select g.id from generations g join workspaces w on w.id = g.workspace_id where w.name = %s)",
        account.workspace,
    )
    return account.workspace


def test_each_page_is_for_everybody(house: House, full: str, open_window: Open) -> None:
    page = enter(house, open_window())
    for name in ("workspaces", f"workspaces/{full}", "connections", "queue", "storage", "audit", "health"):
        page.goto(f"/dashboard/operator/{name}")
        if name == "health":
            page.get_by_role("button", name="Check now").click()
            page.get_by_role("rowheader", name="media store").wait_for()
        for closed in page.locator("details > summary").all():
            closed.click()
        assert shown_everywhere(page) == [], name
