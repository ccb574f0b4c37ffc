"""Keys and webhooks in a real browser: with the mouse, by the keyboard alone, and without scripts."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable

import httpx
import pytest
from getimg import GetimgAI
from playwright.sync_api import Error, Page

from tests.contract.accounts import Account
from tests.dashboard.browsing import Window, shown_everywhere
from tests.dashboard.conftest import House
from tests.dashboard.receiving import Receiver
from tests.support.server import eventually

OpenWindow = Callable[..., Window]


@pytest.fixture
def account(house: House) -> Account:
    return house.key_with(house.create(), "admin")


def balance_status(house: House, secret: str) -> int:
    return httpx.get(
        f"{house.base_url}/v2/billing/balance", headers={"Authorization": f"Bearer {secret}"}, timeout=30
    ).status_code


def make_key(page: Page, name: str) -> str:
    page.goto("/dashboard/keys")
    page.get_by_role("link", name="New key").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Spend cap in US dollars").fill("5")
    page.get_by_role("button", name="Make the key").click()
    page.get_by_role("heading", name="The new key").wait_for()
    return page.locator("#secret").inner_text()


def test_a_key_from_its_making_to_its_end(house: House, account: Account, open_window: OpenWindow) -> None:
    window = open_window(permissions=["clipboard-read", "clipboard-write"])
    page = window.sign_in(account.key)
    secret = make_key(page, "a robot")
    assert secret not in page.url
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert shown_everywhere(page) == []

    with GetimgAI(api_key=secret, base_url=house.base_url) as client:
        assert client.images.generate(model="still", prompt="a pier").status == "completed"
    page.get_by_role("link", name="I have it: to the key").click()
    page.get_by_role("heading", name="a robot").wait_for()
    assert secret not in page.content()
    assert "of $5.00, what is held included" in page.get_by_label("The key").inner_text()
    assert shown_everywhere(page) == []

    page.get_by_label("Type a robot to revoke it").fill("a robot")
    page.get_by_role("button", name="Revoke the key").click()
    page.get_by_text("The key is revoked.").wait_for()
    began = time.monotonic()
    while balance_status(house, secret) != 401:
        assert time.monotonic() - began < 10
        time.sleep(0.1)

    page.goto("/dashboard/keys")
    assert shown_everywhere(page) == []
    page.get_by_label("State").select_option("revoked")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="a robot", exact=True).wait_for()
    page.get_by_role("link", name="Spent").click()
    page.wait_for_url(re.compile("sort=-spent"))
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Spent")
    page.goto("/dashboard/keys/sessions")
    assert page.get_by_text("this one").is_visible()
    assert shown_everywhere(page) == []


def test_what_was_shown_once_does_not_come_back(house: House, account: Account, open_window: OpenWindow) -> None:
    page = open_window().sign_in(account.key)
    secret = make_key(page, "once")
    page.goto("/dashboard")
    with contextlib.suppress(Error):  # the browser keeps nothing of it, and would have to ask whether to send it again
        page.go_back()

    def shows_something_else() -> bool:
        with contextlib.suppress(Error):  # it is on its way
            return secret not in page.content()
        return False

    eventually(shows_something_else, "the secret is not on the page")


def test_one_s_own_key_is_revoked_and_one_is_out(house: House, account: Account, open_window: OpenWindow) -> None:
    page = open_window().sign_in(account.key)
    page.goto(f"/dashboard/keys/{account.key_id}")
    assert page.get_by_text("This is the key that you signed in with.").is_visible()
    page.get_by_label("Type default to revoke it").fill("wrong")
    page.get_by_role("button", name="Revoke the key").click()
    page.get_by_role("alert").wait_for()
    assert shown_everywhere(page) == []
    page.get_by_label("Type default to revoke it").fill("default")
    page.get_by_role("button", name="Revoke the key").click()
    page.wait_for_load_state()
    began = time.monotonic()
    while "/dashboard/login" not in page.url:
        assert time.monotonic() - began < 10
        page.goto("/dashboard")
        page.wait_for_timeout(100)


def make_endpoint(page: Page, receiver: Receiver) -> str:
    page.goto("/dashboard/webhooks/new")
    page.get_by_role("textbox", name="Address").fill(receiver.url)
    page.get_by_label("balance.low").check()
    page.get_by_label("generation.completed").check()
    page.get_by_role("button", name="Make the endpoint").click()
    page.get_by_role("heading", name="Its secret").wait_for()
    return page.locator("#secret").inner_text()


def test_an_endpoint_from_its_making_to_its_end(
    house: House, account: Account, open_window: OpenWindow, receiver: Receiver
) -> None:
    receiver.status, receiver.body = 500, b'{"error": "not today"}\n'
    page = open_window().sign_in(account.key)
    first = make_endpoint(page, receiver)
    assert shown_everywhere(page) == []
    page.get_by_role("link", name="I have it: to the endpoint").click()
    page.get_by_role("button", name="Send it").click()
    page.get_by_text("The test event is on its way").wait_for()
    eventually(lambda: bool(receiver.received), "it is told")
    assert receiver.received[0].is_signed_with(first)

    def look() -> bool:
        page.reload()
        return "500 status" in page.content()

    eventually(look, "the answer is in the log")
    assert shown_everywhere(page) == []
    page.get_by_role("table").get_by_role("link").first.click()
    page.get_by_role("heading", name="Request").wait_for()
    shown = page.get_by_label("Headers of the request").inner_text()
    assert any(each.headers["webhook-signature"] in shown for each in receiver.received), "of the newest attempt"
    assert '"type": "generation.completed"' in page.get_by_label("Body of the request").inner_text()
    assert page.get_by_label("Body of the answer").inner_text().strip() == '{"error": "not today"}'
    assert page.get_by_text("Status 500, after").is_visible()
    assert page.get_by_text("It is byte for byte what was sent").is_visible()
    assert shown_everywhere(page) == []

    receiver.status = 204
    page.get_by_role("button", name="Send again").click()
    page.get_by_text("It is on its way again").wait_for()
    eventually(lambda: len(receiver.received) >= 2, "it is told again")
    assert {each.headers["webhook-id"] for each in receiver.received} == {receiver.received[0].headers["webhook-id"]}

    page.get_by_role("link", name="Its endpoint").click()
    page.get_by_label("The old secret signs as well").select_option("1")
    page.get_by_role("button", name="Make a new secret").click()
    page.get_by_text("The old secret signs as well until").wait_for()
    second = page.locator("#secret").inner_text()
    page.get_by_role("link", name="I have it: to the endpoint").click()
    told = len(receiver.received)
    page.get_by_label("Type", exact=True).select_option("balance.low")
    page.get_by_role("button", name="Send it").click()
    eventually(lambda: any(each.json["type"] == "balance.low" for each in receiver.received[told:]), "it is told")
    newest = next(each for each in receiver.received if each.json["type"] == "balance.low")
    assert newest.is_signed_with(first)
    assert newest.is_signed_with(second)

    page.get_by_role("button", name="Disable").click()
    page.get_by_text("Nothing more is sent to it.").wait_for()
    page.goto("/dashboard/webhooks")
    assert page.get_by_text("disabled", exact=True).is_visible()
    assert shown_everywhere(page) == []
    page.get_by_role("link", name=receiver.url).click()
    page.get_by_label("Type 127.0.0.1 to delete it").fill("127.0.0.1")
    page.get_by_role("button", name="Delete the endpoint").click()
    page.get_by_text("The endpoint is gone").wait_for()
    assert page.get_by_text("There is no endpoint yet.").is_visible()


def press_to(page: Page, name: str, most: int = 80) -> None:
    """Go on with Tab until what has this name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.labels?.[0]?.innerText ?? document.activeElement?.innerText") == name:
            return
    pytest.fail(f"Tab never comes to {name}")


def test_by_the_keyboard_alone(house: House, account: Account, open_window: OpenWindow, receiver: Receiver) -> None:
    page = open_window().sign_in(account.key)
    page.goto("/dashboard/keys")
    press_to(page, "New key")
    page.keyboard.press("Enter")
    page.wait_for_url("**/keys/new?*")
    press_to(page, "Name")
    page.keyboard.type("typed")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")  # read, before generate
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="The new key").wait_for()
    assert house.run("select role from api_keys where name = 'typed'") == [("read",)]
    press_to(page, "I have it: to the key")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="typed").wait_for()
    press_to(page, "Type typed to revoke it")
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    page.get_by_text("The key is revoked.").wait_for()

    page.goto("/dashboard/webhooks/new")
    press_to(page, "Address")
    page.keyboard.type(receiver.url)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Its secret").wait_for()
    press_to(page, "I have it: to the endpoint")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Deliveries").wait_for()
    press_to(page, "Send it")
    page.keyboard.press("Enter")
    page.get_by_text("The test event is on its way").wait_for()


def test_without_scripts(house: House, account: Account, open_window: OpenWindow, receiver: Receiver) -> None:
    page = open_window(java_script_enabled=False).sign_in(account.key)
    secret = make_key(page, "plain")
    assert balance_status(house, secret) == 200
    page.get_by_role("link", name="I have it: to the key").click()
    page.get_by_label("Last day").fill("2090-01-31")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("The key is changed.").wait_for()
    page.get_by_label("Type plain to revoke it").fill("plain")
    page.get_by_role("button", name="Revoke the key").click()
    page.get_by_text("The key is revoked.").wait_for()
    page.goto("/dashboard/keys/sessions")
    page.get_by_role("button", name="End this session").click()
    page.wait_for_load_state()
    page = open_window(java_script_enabled=False).sign_in(account.key)
    make_endpoint(page, receiver)
    page.get_by_role("link", name="I have it: to the endpoint").click()
    page.get_by_role("button", name="Send it").click()
    page.get_by_text("The test event is on its way").wait_for()
    eventually(lambda: bool(receiver.received), "it is told")
    page.get_by_role("button", name="Disable").click()
    page.get_by_text("Nothing more is sent to it.").wait_for()
