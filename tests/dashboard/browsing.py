"""A real browser at the dashboard, and what it may not do: ask anybody else, break the policy, or complain."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

_AXE = Path(__file__).with_name("node_modules") / "axe-core/axe.min.js"
_PROGRAM = shutil.which("chromium") or "/usr/bin/chromium"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
WIDTHS = (320, 768, 1280)
THEMES = ("light", "dark")


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_PROGRAM, args=_FLAGS)
        yield browser
        browser.close()


class Window:
    """A browser's window of its own: cookies of its own, and a record of all that went wrong in it."""

    def __init__(self, browser: Browser, base_url: str, **options: Any) -> None:
        self.base_url = base_url
        self.context: BrowserContext = browser.new_context(
            base_url=base_url, **{"viewport": {"width": 1280, "height": 900}, **options}
        )
        self.context.set_default_timeout(15_000)
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        self.context.on("request", self._note_request)
        self.context.on("console", lambda message: self._note(message.type, message.text))
        self.context.on("weberror", lambda error: self._note("error", str(error.error)))

    def open(self, path: str = "/dashboard") -> Page:
        page = self.context.new_page()
        page.goto(path)
        return page

    def sign_in(self, secret: str) -> Page:
        """Paste a key, or the code of a link, into the form of the first page."""
        page = self.open("/dashboard/login")
        page.get_by_label("API key, or the code of a link").fill(secret)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Overview").wait_for()
        return page

    def close(self) -> None:
        """The end: nothing foreign was asked for, and the browser did not complain."""
        self.context.close()
        assert not self.foreign, self.foreign
        assert not self.complaints, self.complaints

    def _note_request(self, request: Any) -> None:
        if not request.url.startswith((f"{self.base_url}/", "data:", "blob:")):
            self.foreign.append(request.url)

    def _note(self, kind: str, text: str) -> None:
        # A refusal that a test asks for is no fault of the page.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource: the server responded with"):
            self.complaints.append(text)


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is shown now (WCAG 2.2 A and AA, and best practice)."""
    page.evaluate(_AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]}" for each in found["violations"] for node in each["nodes"]
    ]


def shown_everywhere(page: Page) -> list[str]:
    """``violations`` at each width in each theme, and anything that makes the page wider than its window."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            # Colours that are on their way from one theme to the other are neither's.
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            found += [f"{width} {theme} {each}" for each in violations(page)]
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            found.append(f"{width}: wider than its window")
    return found
