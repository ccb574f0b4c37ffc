"""From ``safelight up`` on a terminal to an image, with nothing but the link that it prints."""

from __future__ import annotations

import httpx
from playwright.sync_api import Browser

from bench.first_image import PROMPT, make_image, up_on_a_terminal
from tests.dashboard.browsing import Window
from tests.support.server import open_folder


def test_the_link_on_the_terminal_leads_to_an_image(browser: Browser) -> None:
    with open_folder() as folder, up_on_a_terminal(folder / "data") as link:
        base_url = link.split("/dashboard/")[0]
        window = Window(browser, base_url)
        window.context.set_default_timeout(120_000)  # a renderer starts
        page = window.context.new_page()
        image = httpx.get(make_image(page, link))
        assert image.status_code == 200 and image.headers["content-type"].startswith("image/")
        page.get_by_role("link", name="Jobs").click()
        page.get_by_role("heading", name="Jobs").wait_for()
        assert page.locator("tbody tr").count() == 1
        page.locator("tbody th a").click()
        assert PROMPT in page.get_by_label("Request", exact=True).inner_text()
        window.close()
