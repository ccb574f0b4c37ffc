"""The site as it is built: whole, asking nobody else, and for everybody."""

from __future__ import annotations

import functools
import os
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from docs_site import build, llms, staging
from tests.dashboard.browsing import Window, open_browser, violations

# Wide and narrow, light and dark: the theme is one, so that each page need not be judged in both.
LOOKED_AT = {"index.html": ("light",), "start.html": ("light", "dark"), "reference/settings.html": ("dark",)}
# All of them take half a minute: EVERY_PAGE=1 looks at each.
EVERY_PAGE = bool(os.environ.get("EVERY_PAGE"))
# Menus within menus are landmarks of the same name; no rule of WCAG's, but axe's advice.
OF_THE_THEME = "landmark-unique"


class Site:
    def __init__(self, folder: Path, base_url: str) -> None:
        self.folder, self.base_url = folder, base_url

    def pages(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.html"))

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Built in a folder of its own, with no link that leads nowhere, and served."""
    folder = tmp_path_factory.mktemp("docs")
    assert build.build(folder) == 0
    handler = functools.partial(_Quiet, directory=str(folder / "site"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(folder / "site", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_what_comments_and_fences_say_to_machines_is_not_shown(site: Site) -> None:
    for page in site.pages():
        text = re.sub("<code>.*?</code>", "", site.text(page))  # the page for contributors tells of them
        for word in ("```", "sh run", "sh background", "&lt;!-- ", "end of tabs", "[!NOTE]"):
            assert word not in text, (page, word)
    assert 'class="admonition note"' in site.text("start.html")
    assert site.text("start.html").count('class="tabbed-set') == 1


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pages").mkdir()
    for name, text in {"a.md": "# A\n\nA page. [b](b.md#nothing)\n", "b.md": "# B\n\nAnother page.\n"}.items():
        (tmp_path / "pages" / name).write_text(text)
    monkeypatch.setattr(staging, "stage", lambda folder: {})
    monkeypatch.setattr(build.shutil, "rmtree", lambda *_, **__: None)
    assert build.build(tmp_path) != 0


def test_every_page_is_there_for_programs(site: Site) -> None:
    listed = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): \S", site.text("llms.txt"), re.M)
    assert sorted(listed) == sorted(staging.places())
    for place in listed:
        assert site.text(place).startswith("# ")
        assert (site.folder / place).with_suffix(".html").exists()
        for target in re.findall(
            r"\]\((?!\w+:|#)([^)#\s]+)", re.sub(r"^```.*?^```", "", site.text(place), flags=re.M | re.S)
        ):
            assert ((site.folder / place).parent / target).exists(), f"{place} links to {target}"
    whole = site.text("llms-full.txt")
    assert whole.startswith("# Safelight\n\n> ") and "## Commands" in whole and "`SAFELIGHT_RETENTION`" in whole


def test_with_an_address_links_for_programs_are_whole(tmp_path: Path) -> None:
    project = {"site_name": "Safelight", "site_description": "About.", "nav": [{"Start": ["start.md"]}]}
    llms.write(tmp_path, project, {"start.md": "# Start\n\nBegin.\n"}, site_url="https://docs.example.com/")
    assert "- [Start](https://docs.example.com/start.md): Begin." in (tmp_path / "llms.txt").read_text()


def test_no_page_asks_anybody_else(site: Site, browser: Browser) -> None:
    window = Window(browser, site.base_url)
    page = window.open("/index.html")
    for path in site.pages() if EVERY_PAGE else ("404.html", "dashboard.html", "decisions/index.html"):
        answer = page.goto(f"/{path}", wait_until="load")
        assert answer is not None and answer.status == 200, path
    page.get_by_role("button", name="Search").click()
    page.get_by_placeholder("Search").press_sequentially("idempotency")
    page.locator("a[href*='#idempotency']").first.click()
    page.wait_for_url(re.compile("#idempotency"))
    window.close()


def test_nothing_that_a_page_loads_is_elsewhere(site: Site) -> None:
    loads = re.compile(r"<(?:script|link|img|iframe|source|video)\b[^>]*?\b(?:src|href)=\"?([^\" >]+)")
    for path in site.pages():
        for address in loads.findall(site.text(path)):
            assert not re.match(r"(https?:)?//", address), (path, address)
    for style in (site.folder / "assets").rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text()), style


def test_pages_are_for_everybody(site: Site, browser: Browser) -> None:
    found = []
    window = Window(browser, site.base_url)
    page = window.open("/index.html")
    for path, judged in LOOKED_AT.items():
        page.goto(f"/{path}")
        for width, theme in ((390, "dark"), (1280, "light")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            if theme in judged:
                found += [f"{path} {width} {each}" for each in violations(page) if not each.startswith(OF_THE_THEME)]
            assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    window.close()
    assert found == []
