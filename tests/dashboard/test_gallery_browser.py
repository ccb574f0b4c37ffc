"""The gallery in a browser: scrolling, the lightbox, selecting, deleting; by keyboard alone, and without scripts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.contract.accounts import Account
from tests.dashboard.browsing import Window, shown_everywhere
from tests.dashboard.conftest import House
from tests.support.media_in_bulk import draw_thumbnails, put_on_record

Open = Callable[..., Window]

NOW = datetime.now(UTC)


class Shelf:
    """A workspace with much to look at, that no test changes."""

    def __init__(self, account: Account, ids: list[str]) -> None:
        self.account = account
        self.ids = ids
        """The newest first."""


def fill(house: House, count: int, *, minutes: int = 30, **options: object) -> Shelf:
    account = house.create()
    (workspace_id,) = house.run("select id from workspaces where name = %s", account.workspace)[0]
    times = [NOW - timedelta(minutes=minutes * number) for number in range(count)]
    with psycopg.connect(house.database_url) as connection:
        ids = put_on_record(connection, workspace_id, times, **options)  # type: ignore[arg-type]
    draw_thumbnails(house.server.data_dir / "media", ids[:300], kinds=2, side=64)
    return Shelf(account, ids)


@pytest.fixture(scope="module")
def shelf(house: House) -> Shelf:
    return fill(house, 900, minutes=60)


def enter(window: Window, account: Account, path: str = "/dashboard/gallery") -> Page:
    """Signed in without the form, which other tests fill in."""
    answer = window.context.request.post(
        "/dashboard/login", form={"secret": account.key}, headers={"sec-fetch-site": "same-origin"}, max_redirects=0
    )
    assert answer.status == 303
    return window.open(path)


def focused_id(page: Page) -> str | None:
    found: str | None = page.evaluate("document.activeElement.closest('[data-id]')?.dataset.id ?? null")
    return found


def pages_there(page: Page) -> list[bool]:
    """The pages of the window from the top: whether each has its tiles."""
    found: list[bool] = page.evaluate(
        "[...document.querySelectorAll('#pages > .page')].map(p => p.childElementCount > 0)"
    )
    return found


def keep_few(page: Page) -> None:
    """As if there had been forty pages already."""
    page.evaluate("document.getElementById('pages').dataset.keeps = 4")


def scroll_on(page: Page) -> None:
    before = len(pages_there(page))
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_function("n => document.querySelectorAll('#pages > .page').length > n", arg=before)


def test_scrolling_goes_on_and_keeps_little(open_window: Open, shelf: Shelf) -> None:
    page = enter(open_window(), shelf.account)
    keep_few(page)
    page.evaluate(
        "window.seen = []; document.addEventListener('htmx:before:process', e => seen.push(e.target.className))"
    )
    while len(pages_there(page)) < 9:
        scroll_on(page)
    # Where htmx looks for its attributes, each attribute becomes a node: twice as many as a page has.
    assert set(page.evaluate("window.seen")) == {"row"}
    there = pages_there(page)
    assert sum(there) <= 6
    assert not there[0]
    assert there[-1]
    height = page.evaluate("document.documentElement.scrollHeight")
    # The address says where one is, and the date is marked.
    page.wait_for_function("() => new URL(location).searchParams.has('after')")
    page.locator("#dates a[aria-current=date]").wait_for(state="attached")
    # Back at the top, what was dropped is there again, in its place.
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("id => document.querySelector(`[data-id='${id}']`)", arg=shelf.ids[0])
    assert abs(page.evaluate("document.documentElement.scrollHeight") - height) < 0.02 * height
    shown = page.locator("#pages > .page").first.locator("[data-id]").evaluate_all("all => all.map(e => e.dataset.id)")
    assert shown == shelf.ids[:60]
    page.wait_for_function("() => !new URL(location).searchParams.has('after')")


def test_the_address_comes_back_to_the_same_place(open_window: Open, shelf: Shelf) -> None:
    page = enter(open_window(), shelf.account)
    for _ in range(3):
        scroll_on(page)
    page.locator("#pages > .page").nth(2).evaluate("section => section.scrollIntoView()")
    page.wait_for_function("id => new URL(location).searchParams.get('after') === id", arg=shelf.ids[119])
    page.reload()
    assert page.locator("[data-id]").first.get_attribute("data-id") == shelf.ids[120]
    page.get_by_role("link", name="Newer", exact=True).click()
    page.wait_for_url("**before=**")
    assert page.locator("[data-id]").first.get_attribute("data-id") == shelf.ids[60]


def test_the_oldest_in_two_clicks_and_a_day_in_two(open_window: Open, shelf: Shelf) -> None:
    page = enter(open_window(viewport={"width": 320, "height": 800}), shelf.account)
    page.get_by_role("button", name="Dates").click()
    page.get_by_role("link", name="Oldest").click()
    page.locator(f"[data-id='{shelf.ids[-1]}']").wait_for()
    page.set_viewport_size({"width": 1280, "height": 900})
    months = page.locator("#dates summary")
    months.last.click()
    page.locator("#dates details").last.locator("a").last.click()
    page.locator(f"[data-id='{shelf.ids[-1]}']").wait_for()


def test_the_lightbox_by_the_keyboard_alone(open_window: Open, shelf: Shelf) -> None:
    page = enter(open_window(), shelf.account)
    page.locator("#main").focus()
    while focused_id(page) is None:
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    box = page.locator("#lightbox")
    for key, place in [(None, 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0)]:
        if key:
            page.keyboard.press(key)
        box.locator(f"[data-item-id='{shelf.ids[place]}']").wait_for()
        assert f"/dashboard/gallery/{shelf.ids[place]}" in page.url
    last = page.locator("[data-id]").last.get_attribute("data-id")
    assert last is not None
    page.keyboard.press("End")
    box.locator(f"[data-item-id='{last}']").wait_for()
    # Beyond the last tile that is there the server says what is next.
    page.keyboard.press("ArrowRight")
    box.locator(f"[data-item-id='{shelf.ids[shelf.ids.index(last) + 1]}']").wait_for()
    page.keyboard.press("ArrowLeft")
    box.locator(f"[data-item-id='{last}']").wait_for()
    page.keyboard.press("Escape")
    box.wait_for(state="hidden")
    page.wait_for_url(lambda url: "/gallery/req-" not in url)
    page.wait_for_function("id => document.activeElement.closest('[data-id]')?.dataset.id === id", arg=last)


def test_the_lightbox_tells_what_is_known_and_where_more_is(open_window: Open, shelf: Shelf) -> None:
    page = enter(open_window(), shelf.account)
    newest = shelf.ids[0]
    page.locator("[data-item]").first.click()
    box = page.locator("#lightbox")
    expect(box).to_contain_text("a hill, number 1")
    expect(box).to_contain_text("6 d 23 h left")
    hrefs = box.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert f"/dashboard/jobs/{newest}" in hrefs
    assert f"/dashboard/playground?workspace={shelf.account.workspace}&from={newest}" in hrefs
    # The browser's own way back closes it, and the way forth opens it again.
    page.go_back()
    box.wait_for(state="hidden")
    page.go_forward()
    box.locator(f"[data-item-id='{newest}']").wait_for()
    page.reload()
    page.get_by_role("heading", name="Image by still").wait_for()
    page.get_by_role("link", name="Older").click()
    page.wait_for_url(f"**/{shelf.ids[1]}**")


def test_selecting_and_deleting_by_the_keyboard_alone(open_window: Open, house: House) -> None:
    shelf = fill(house, 90)
    page = enter(open_window(), shelf.account)
    page.locator("#main").focus()
    while page.evaluate("document.activeElement.value") != shelf.ids[1]:
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    while page.evaluate("document.activeElement.value") != shelf.ids[4]:
        page.keyboard.press("Tab")
    page.keyboard.press("Shift+Space")
    expect(page.locator("#selected")).to_have_text("4 selected")
    page.locator("#delete-selected").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Delete the media of 4 jobs?").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Keep them"
    page.keyboard.press("Escape")
    page.locator("#deletion").wait_for(state="hidden")
    expect(page.locator("#selected")).to_have_text("4 selected")
    assert page.locator(f"[data-id='{shelf.ids[1]}']").count() == 1
    page.locator("#delete-selected").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete for good").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="4 deleted").wait_for()
    assert page.locator("#deletion [data-deleted]").count() == 4
    page.keyboard.press("Escape")
    shown = page.locator("[data-id]").evaluate_all("all => all.map(e => e.dataset.id)")
    assert not set(shelf.ids[1:5]) & set(shown)
    assert house.run(
        "select count(*) from media where deleted_at is not null and generation_id = any(%s)", shelf.ids
    ) == [(4,)]


def test_a_selection_outlives_the_pages_it_was_made_on(open_window: Open, shelf: Shelf) -> None:
    page = enter(open_window(), shelf.account)
    page.get_by_role("link", name="Select all of this page").first.click()
    expect(page.locator("#selected")).to_have_text("60 selected")
    page.locator("#main").focus()
    keep_few(page)
    while pages_there(page)[0]:
        scroll_on(page)
    expect(page.locator("#selected")).to_have_text("60 selected")
    page.locator("#delete-selected").click()
    page.get_by_role("heading", name="Delete the media of 60 jobs?").wait_for()
    page.get_by_role("link", name="Keep them").click()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_function("id => document.querySelector(`[data-id='${id}'] input:checked`)", arg=shelf.ids[0])
    page.get_by_role("button", name="Select none").click()
    expect(page.locator("#pages input:checked")).to_have_count(0)


def test_without_scripts_it_is_all_there(open_window: Open, house: House) -> None:
    shelf = fill(house, 130)
    page = enter(open_window(java_script_enabled=False), shelf.account)
    page.get_by_role("link", name="Older", exact=True).click()
    assert page.locator("[data-id]").first.get_attribute("data-id") == shelf.ids[60]
    page.locator("[data-item]").first.click()
    page.get_by_role("link", name="Older").click()
    page.wait_for_url(f"**/{shelf.ids[61]}**")
    page.get_by_role("main").get_by_role("link", name="Gallery").click()
    page.locator("summary", has_text="Filters").click()
    page.get_by_label("Type").select_option("image")
    page.get_by_label("Order").select_option("oldest")
    page.get_by_role("button", name="Show").click()
    assert page.locator("[data-id]").first.get_attribute("data-id") == shelf.ids[-1]
    page.get_by_role("link", name="Select all of this page").click()
    page.locator("[data-id] input").first.uncheck()  # the oldest
    page.get_by_role("button", name="Delete the selected").click()
    page.get_by_role("heading", name="Delete the media of 59 jobs?").wait_for()
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_role("heading", name="59 deleted").wait_for()
    page.get_by_role("link", name="Back to the gallery").click()
    assert "order=oldest" in page.url
    assert page.locator("[data-id]").count() == 60
    page.goto(f"/dashboard/gallery/{shelf.ids[-2]}")
    expect(page.get_by_role("main")).to_contain_text("The media and the prompt are deleted")
    with page.expect_download() as got:
        page.get_by_role("main").get_by_role("link", name="eceipt").click()
    assert got.value.suggested_filename.startswith("receipt-req-")


def test_what_is_made_appears_on_top_or_is_counted(open_window: Open, house: House) -> None:
    shelf = fill(house, 100)
    page = enter(open_window(), shelf.account)
    with page.expect_request("**/dashboard/live**"):
        page.reload()
    with shelf.account.http() as client:
        first = client.post("/v2/images/generations", json={"model": "still", "prompt": "one"}).json()["id"]
        page.locator(f"[data-id='{first}']").wait_for()
        assert page.locator("[data-id]").first.get_attribute("data-id") == first
        page.evaluate("scrollTo(0, 900)")
        second = client.post("/v2/images/generations", json={"model": "still", "prompt": "two"}).json()["id"]
        page.get_by_role("link", name="1 new").wait_for()
        assert page.locator(f"[data-id='{second}']").count() == 0
        page.get_by_role("link", name="1 new").click()
        page.locator(f"[data-id='{second}']").wait_for()
    tops = page.locator("[data-id]").evaluate_all("all => all.slice(0, 3).map(e => e.dataset.id)")
    assert tops == [second, first, shelf.ids[0]]


def test_a_video_plays_where_one_stays(open_window: Open, house: House) -> None:
    account = house.create()
    with account.http() as client:
        made = client.post("/v2/videos/generations", json={"model": "clip", "prompt": "a hill", "duration": 2}).json()
        client.get(f"/v2/videos/generations/{made['id']}?wait=30")
    page = enter(open_window(), account)
    assert page.locator(".length").inner_text() == "▶ 2 s"
    page.locator("[data-item]").hover()
    playing = page.locator(".shot video")
    playing.wait_for(state="attached")
    assert playing.evaluate("v => v.muted && v.getAttribute('aria-hidden') === 'true'")
    page.get_by_role("heading", name="Gallery").hover()
    playing.wait_for(state="detached")
    page.locator("[data-item]").focus()
    playing.wait_for(state="attached")
    page.locator("#main").focus()
    playing.wait_for(state="detached")
    page.emulate_media(reduced_motion="reduce")
    page.locator("[data-item]").hover()
    page.wait_for_timeout(600)
    assert playing.count() == 0


def test_each_page_is_for_everybody(open_window: Open, house: House) -> None:
    shelf = fill(house, 70, types=("image", "video"))
    page = enter(open_window(), shelf.account, "/dashboard/gallery?type=image")
    assert shown_everywhere(page) == []
    page.get_by_role("link", name="Select all of this page").click()
    page.locator("[data-item]").nth(1).click()
    page.locator("#lightbox [data-item-id]").wait_for()
    assert shown_everywhere(page) == []
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("heading", name="Delete the media of 1 job?").wait_for()
    assert shown_everywhere(page) == []
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_role("heading", name="1 deleted").wait_for()
    assert shown_everywhere(page) == []
    for place in (1, 2):  # a video, and what was deleted
        page.goto(f"/dashboard/gallery/{shelf.ids[place]}")
        assert shown_everywhere(page) == []
