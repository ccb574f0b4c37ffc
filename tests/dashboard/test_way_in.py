"""The way in: by a key, by a link that works once, and out again."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from safelight.dashboard.login import go_to
from tests.dashboard.browsing import Window, shown_everywhere
from tests.dashboard.conftest import Enter, House, Visitor


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


@pytest.mark.parametrize(
    ("next_", "location"),
    [
        ("/dashboard/keys?sort=name&q=%C3%A9", "/dashboard/keys?sort=name&q=%C3%A9"),
        ("/dashboard/jobs?q=ü", "/dashboard/jobs?q=%C3%BC"),
        ("//evil.example", "/dashboard"),
        ("///dashboard", "/dashboard"),  # a host, as browsers read it
        ("////dashboard/", "/dashboard"),
        ("//[", "/dashboard"),  # of this, and of the next, urllib makes an error
        ("//\u2100", "/dashboard"),
        ("https://evil.example/dashboard", "/dashboard"),
        ("/\\evil.example", "/dashboard"),
        ("/dashboard/\\..", "/dashboard"),
        ("/dashboard/../v2", "/dashboard"),
        ("/dashboard/%2e%2E/v2", "/dashboard"),
        ("/dashboards", "/dashboard"),
        ("/dashboard\r\nset-cookie: a=b", "/dashboard"),
        ("javascript:alert(1)", "/dashboard"),
        ("", "/dashboard"),
    ],
)
def test_who_signs_in_goes_on_within_the_dashboard(next_: str, location: str) -> None:
    site: Any = SimpleNamespace(at=lambda path: path)
    assert go_to(site, next_).headers["location"] == location


def test_who_is_in_may_sign_in_as_somebody_else(house: House, open_window: Callable[..., Window]) -> None:
    window = open_window()
    page = window.sign_in(house.create().key)
    before = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    code = house.code()
    page.goto(f"/dashboard/login#{code}")
    page.get_by_role("link", name="Workspaces", exact=True).first.wait_for()
    assert code not in page.url
    after = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    assert before["safelight-session"] != after["safelight-session"]
    with Visitor(house.base_url) as old:
        old.cookies.update(before)
        house.wait_until_out(old)  # nothing else would end that session


def test_a_piece_that_comes_too_late_leads_to_the_page_around_it_once_more(visitor: Enter) -> None:
    around = "https://any.example/dashboard/playground?run=a&run=b#top"
    answer = visitor().get("/dashboard/playground/runs/a", headers={"hx-request": "true", "hx-current-url": around})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/dashboard/login?next=%2Fdashboard%2Fplayground%3Frun%3Da%26run%3Db"


def test_a_session_may_do_what_its_key_may_now(house: House, visitor: Enter) -> None:
    admin = house.key_with(house.create(), "admin")
    reader = visitor(admin.key)
    assert reader.get("/dashboard/keys").status_code == 200
    house.run("update api_keys set role = 'read' where id = %s", admin.key_id)
    began = time.monotonic()
    while reader.get("/dashboard/keys").status_code != 403:
        assert time.monotonic() - began < 5, "it goes on"
        time.sleep(0.1)


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
