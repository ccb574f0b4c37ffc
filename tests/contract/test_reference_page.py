"""The page at ``/docs``, in a real browser: readable in light and dark, with nothing from anywhere else, and whole
without its script, which adds a search and buttons that copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.contract.accounts import Account
from tests.dashboard.browsing import Window, open_browser, shown_everywhere, violations


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as started:
        yield started


@pytest.fixture(params=["light", "dark"], scope="module")
def page(request: pytest.FixtureRequest, browser: Browser, account: Account) -> Iterator[Page]:
    window = Window(browser, account.base_url, color_scheme=request.param)
    opened = window.open("/docs")
    if folder := os.environ.get("SCREENSHOTS"):
        opened.screenshot(path=f"{folder}/docs-{request.param}.png")
        opened.screenshot(path=f"{folder}/docs-{request.param}-whole.png", full_page=True)
    yield opened
    window.close()


@pytest.fixture(scope="module")
def changed(browser: Browser, account: Account) -> Iterator[Page]:
    """The page in a window of its own, for what changes it."""
    window = Window(browser, account.base_url, permissions=["clipboard-read", "clipboard-write"])
    yield window.open("/docs")
    window.close()


@pytest.fixture
def fresh(changed: Page) -> Page:
    """That page, loaded anew."""
    changed.goto("/docs")
    return changed


@pytest.fixture(scope="module")
def without_script(browser: Browser, account: Account) -> Iterator[Page]:
    window = Window(browser, account.base_url, java_script_enabled=False)
    yield window.open("/docs")
    window.close()


def test_it_shows_every_operation(page: Page, account: Account) -> None:
    shows_every_operation(page, account)


def test_it_shows_as_much_without_its_script(without_script: Page, account: Account) -> None:
    shows_every_operation(without_script, account)


def shows_every_operation(page: Page, account: Account) -> None:
    document = httpx.get(f"{account.base_url}/openapi.json").json()
    shown = page.locator("article").all_inner_texts()
    told = [
        (method.upper(), path, operation["summary"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    assert len(shown) == len(told)
    for method, path, summary in told:
        assert any(method in text and path in text and summary in text for text in shown), (method, path)


def test_it_takes_nothing_from_elsewhere(page: Page, account: Account) -> None:
    """It may ask nobody else, and has one script of its own; what it asked for is looked at as its window closes."""
    answer = httpx.get(f"{account.base_url}/docs")
    policy = dict(part.split(maxsplit=1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'"
    sources = page.eval_on_selector_all("script", "all => all.map(script => script.src)")
    assert sources == [f"{account.base_url}/docs/reference.js"]
    assert page.locator("link[rel=stylesheet], img[src^=http], iframe").count() == 0
    handlers = "all => all.flatMap(e => e.getAttributeNames()).filter(name => name.startsWith('on'))"
    assert page.eval_on_selector_all("*", handlers) == []
    script = httpx.get(sources[0])
    assert script.headers["content-type"].startswith("text/javascript")
    head = httpx.head(sources[0])
    assert head.headers["content-length"] == script.headers["content-length"] and not head.content


def test_without_its_script_it_offers_nothing_that_would_not_work(without_script: Page) -> None:
    assert without_script.get_by_role("searchbox").count() == 0
    assert without_script.get_by_role("button").count() == 0
    without_script.locator("summary").first.click()
    assert without_script.locator("details[open] dd").first.is_visible()


def shown(page: Page) -> list[str]:
    """The operations that are shown; the contents list the same."""
    ids: list[str] = page.eval_on_selector_all("article", "all => all.filter(e => e.checkVisibility()).map(e => e.id)")
    listed: list[str] = page.eval_on_selector_all(
        "nav li a", "all => all.filter(e => e.checkVisibility()).map(e => e.hash.slice(1))"
    )
    assert ids == listed
    return ids


def test_it_is_searched_with_the_keyboard(fresh: Page) -> None:
    every = shown(fresh)
    assert len(every) > 15
    fresh.keyboard.press("/")
    search = fresh.get_by_role("searchbox", name="Search")
    expect(search).to_be_focused()

    fresh.keyboard.type("MEDIA delete")  # an operation, by its words in any order
    found = fresh.locator("nav [role=status]")
    few = shown(fresh)
    assert few == ["deleteMedia"]
    expect(found).to_have_text("1 operation")

    search.fill("aspect_ratio")  # a parameter: only it is left of the others
    assert "createImage" in shown(fresh) and "balance" not in shown(fresh)
    entries = fresh.locator("#createImage dl > div:visible")
    assert all("aspect_ratio" in text for text in entries.all_inner_texts()) and entries.count() >= 1
    expect(found).to_have_text(f"{len(shown(fresh))} operations")

    search.fill("quota_exceeded")  # an error: the list it is in is opened
    assert "createVideo" in shown(fresh)
    expect(fresh.locator("#createVideo details[open] dd:visible")).to_have_count(1)

    search.fill("zebra crossing")
    assert shown(fresh) == []
    expect(found).to_have_text("0 operations")
    fresh.keyboard.press("Escape")
    assert shown(fresh) == every
    assert fresh.locator("details[open]").count() == 0
    expect(found).to_have_text("")
    fresh.keyboard.type("a/b")  # a slash within the field is only a slash
    expect(search).to_have_value("a/b")


def test_a_link_to_what_the_search_hides_shows_it(fresh: Page) -> None:
    fresh.get_by_role("searchbox").fill("media delete receipt")
    assert "createVideo" not in shown(fresh)
    fresh.evaluate("location.hash = 'createVideo'")
    expect(fresh.locator("#createVideo")).to_be_in_viewport()


def test_each_example_is_copied_as_it_reads(fresh: Page) -> None:
    examples = fresh.locator(".example")
    assert examples.count() > 30
    assert fresh.get_by_role("button").count() == examples.count()
    example = fresh.locator("#createImage .example").first
    button = example.get_by_role("button")
    button.focus()
    fresh.keyboard.press("Enter")
    expect(button).to_have_text("Copied")
    copied = fresh.evaluate("navigator.clipboard.readText()")
    assert copied == example.locator("code").text_content() and copied.startswith("curl ")
    expect(button).to_have_text("Copy")


def test_what_makes_something_opens_in_the_playground(fresh: Page, account: Account) -> None:
    links = fresh.get_by_role("link", name="Open in playground")
    assert fresh.locator("article:has(.play)").evaluate_all("all => all.map(e => e.id)") == [
        "createImage",
        "createVideo",
    ]
    for link in links.all():
        address = link.evaluate("e => e.href")
        assert address.startswith(f"{account.base_url}/dashboard/playground?model=")
        assert httpx.URL(address).params["prompt"]


def test_it_meets_axe_at_each_width_in_each_theme(fresh: Page) -> None:
    assert violations(fresh) == []
    fresh.get_by_role("searchbox").fill("cancel")  # some are made of the same pieces as all, and looked at sooner
    assert 0 < len(shown(fresh)) < 8
    assert shown_everywhere(fresh) == []


def _luminance(rgb: list[float]) -> float:
    """Relative luminance (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_its_text_can_be_read(page: Page) -> None:
    """A contrast of 4.5 at least between each text and what lies behind it (WCAG 2.2, 1.4.3)."""
    pairs: list[dict[str, Any]] = page.evaluate(
        """() => {
            const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const paint = (colors) => {
                canvas.clearRect(0, 0, 1, 1);
                for (const color of colors) { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); }
                return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
            };
            return [...document.querySelectorAll('main *, nav *')]
                .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
                .map(e => {
                    const behind = [];
                    for (let at = e; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
                    return {
                        text: e.textContent.slice(0, 40),
                        front: paint([...behind, getComputedStyle(e).color]),
                        back: paint(behind),
                    };
                });
        }"""
    )
    assert len(pairs) > 100
    for pair in pairs:
        dark, light = sorted((_luminance(pair["front"]), _luminance(pair["back"])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def test_it_fits_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1280, "height": 900})


def test_its_links_lead_somewhere(page: Page) -> None:
    targets = page.eval_on_selector_all("a[href^='#']", "links => links.map(link => link.hash.slice(1))")
    assert targets
    for target in targets:
        assert page.locator(f"[id='{target}']").count() == 1
