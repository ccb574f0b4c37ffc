"""The way in: by a key, by a link that works once, and out again."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.dashboard.browsing import Window, shown_everywhere
from tests.dashboard.conftest import House, Visitor

Enter = Callable[..., Visitor]


def test_by_a_key(house: House, open_window: Callable[..., Window]) -> None:
    account = house.create()
    window = open_window()
    page = window.sign_in(account.key)
    assert page.get_by_text("$1,000.00", exact=True).is_visible()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.goto("/dashboard")
    assert "/dashboard/login?next=" in page.url


def test_by_a_link_that_works_once(house: House, open_window: Callable[..., Window]) -> None:
    code = house.code()
    page = open_window().open(f"/dashboard/login#{code}")
    page.get_by_role("heading", name="Overview").wait_for()
    assert code not in page.url
    again = open_window().open(f"/dashboard/login#{code}")
    again.get_by_role("alert").wait_for()
    assert "used already" in again.get_by_role("alert").inner_text()


def test_the_first_pages_are_for_everybody(house: House, open_window: Callable[..., Window]) -> None:
    window = open_window()
    assert shown_everywhere(window.open("/dashboard/login")) == []
    page = window.sign_in(house.create().key)
    assert shown_everywhere(page) == []


def test_a_session_ends_with_its_key(house: House, visitor: Enter) -> None:
    account = house.create()
    reader = visitor(account.key)
    assert reader.get("/dashboard").status_code == 200
    house.revoke(account)
    began = time.monotonic()
    while reader.get("/dashboard").status_code == 200:
        assert time.monotonic() - began < 5, "it goes on"
        time.sleep(0.1)


def test_cookies_are_the_dashboards_and_keys_are_the_apis(house: House, visitor: Enter) -> None:
    account = house.create()
    reader = visitor(account.key)
    assert reader.get("/v2/generations").status_code == 401
    with account.http() as client:
        assert client.get("/dashboard").status_code == 303
    cookie = next(iter(reader.cookies.jar))
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
