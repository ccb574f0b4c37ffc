"""What is at the address of the service itself."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.dashboard.browsing import Window, shown_everywhere
from tests.dashboard.conftest import House


def test_a_browser_is_led_to_the_dashboard(house: House) -> None:
    answer = httpx.get(f"{house.base_url}/", headers={"accept": "text/html,application/xhtml+xml"})
    assert (answer.status_code, answer.headers["location"]) == (307, "dashboard")


def test_a_program_is_told_what_there_is(house: House) -> None:
    told = httpx.get(f"{house.base_url}/").json()
    assert told["dashboard"] == f"{house.base_url}/dashboard"
    assert {"v2", "openai", "reference", "openapi", "version"} <= set(told) and "mcp" not in told
    for name in ("reference", "openapi"):
        assert httpx.get(told[name]).status_code == 200


def test_an_icon_is_where_browsers_look(house: House) -> None:
    answer = httpx.get(f"{house.base_url}/favicon.ico")
    assert answer.headers["content-type"] == "image/svg+xml" and answer.content.startswith(b"<svg")


def test_pages_that_nobody_else_looks_at_are_for_everybody(house: House, open_window: Callable[..., Window]) -> None:
    window = open_window()
    page = window.sign_in(house.key_with(house.create(), "admin").key)
    for path in ("/keys/new", "/webhooks/new", "/spend/proof", "/models", "/jobs/refused", "/nothing/here"):
        page.goto(f"/dashboard{path}")
        assert shown_everywhere(page) == [], path
