"""The page at ``/docs``, in a real browser: readable, in light and dark, and with nothing from anywhere else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.contract.accounts import Account

_CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def requested() -> list[str]:
    """Every address that the pages asked for."""
    return []


@pytest.fixture(params=["light", "dark"], scope="module")
def page(request: pytest.FixtureRequest, browser: Browser, account: Account, requested: list[str]) -> Iterator[Page]:
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.on("request", lambda asked: requested.append(asked.url))
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text))
    opened.goto(f"{account.base_url}/docs")
    if folder := os.environ.get("SCREENSHOTS"):
        opened.screenshot(path=f"{folder}/docs-{request.param}.png")
        opened.screenshot(path=f"{folder}/docs-{request.param}-whole.png", full_page=True)
    yield opened
    context.close()
    assert not problems


def test_it_shows_every_operation(page: Page, account: Account) -> None:
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


def test_it_asks_nobody_but_the_server(page: Page, account: Account, requested: list[str]) -> None:
    assert requested
    assert all(url.startswith(account.base_url) for url in requested)
    assert page.locator("script, link[rel=stylesheet], img[src^=http], iframe").count() == 0


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
