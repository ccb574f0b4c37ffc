"""The playground in a real browser: with the mouse, by the keyboard alone, and without scripts."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.contract.accounts import Account
from tests.dashboard.benches import ended, made_of, picture
from tests.dashboard.browsing import Window, shown_everywhere
from tests.dashboard.conftest import House

Open = Callable[..., Window]

_GIVE = """([selector, kind, pictures]) => {
  const transfer = new DataTransfer();
  for (const [name, data] of pictures) {
    const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: "image/png" }));
  }
  const target = document.querySelector(selector);
  const given = { bubbles: true, cancelable: true };
  target.dispatchEvent(kind === "paste"
    ? new ClipboardEvent("paste", { ...given, clipboardData: transfer })
    : new DragEvent(kind, { ...given, dataTransfer: transfer }));
}"""


@pytest.fixture
def account(house: House) -> Account:
    return house.create(image_rpm=1000, video_rpm=1000, concurrency=50)


@pytest.fixture
def page(account: Account, open_window: Open) -> Page:
    return entered(open_window(reduced_motion="reduce"), account)


def entered(window: Window, account: Account, query: str = "?model=still") -> Page:
    page = window.sign_in(account.key)
    page.goto(f"/dashboard/playground{query}")
    return page


def give(page: Page, selector: str, kind: str, *pictures: tuple[str, bytes]) -> None:
    """Drop or paste files."""
    encoded = [(name, base64.b64encode(data).decode()) for name, data in pictures]
    page.evaluate(_GIVE, [selector, kind, encoded])


def runs(page: Page) -> list[str]:
    return re.findall(r"run=(req-\w+)", page.url)


def updated(page: Page, do: Callable[[], Any]) -> None:
    """Do something that the form asks the server about, and wait for the answer to be shown."""
    with page.expect_response(lambda answer: "/playground/form?" in answer.url):
        do()
    expect(page.locator("#ask.htmx-request")).to_have_count(0)


def test_an_image_by_ctrl_enter(house: House, account: Account, page: Page) -> None:
    updated(page, lambda: page.get_by_label("Prompt", exact=True).fill("A red boat"))
    expect(page.locator("#price")).to_have_text("$0.05")
    page.keyboard.press("Control+Enter")
    page.locator("img.result").wait_for()
    assert page.evaluate("document.querySelector('img.result').naturalWidth") == 64
    card = page.locator("article.run")
    expect(card).to_contain_text("$0.05")
    expect(page.locator("#after")).to_have_text("leaves $999.90 of $999.95")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("A red boat")
    (id_,) = runs(page)
    page.get_by_role("button", name="Run").click()
    page.wait_for_url(lambda url: id_ not in url)
    ended(house, *runs(page))
    assert made_of(house, account.workspace) == 2


def test_a_model_brings_its_own_fields_and_keeps_what_it_has(page: Page) -> None:
    page.get_by_label("Prompt", exact=True).fill("A red boat")
    updated(page, lambda: page.get_by_label("Model", exact=True).select_option("wide"))
    updated(page, lambda: page.get_by_label("Resolution").select_option("4K"))
    expect(page.locator("#price")).to_have_text("$0.123456")
    updated(page, lambda: page.get_by_label("Model", exact=True).select_option("talkie"))
    expect(page.get_by_label("Resolution")).to_have_value("480p")
    expect(page.locator("#price")).to_have_text("$0.21")
    updated(page, lambda: page.get_by_label("Seconds").select_option("5"))
    updated(page, lambda: page.get_by_label("With sound").check())
    expect(page.locator("#price")).to_have_text("$0.525")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("A red boat")
    expect(page.locator("#as-text-json")).to_contain_text('"sound": true')
    page.get_by_text("curl", exact=True).click()
    expect(page.locator("#as-text-curl")).to_contain_text("$SAFELIGHT_API_KEY")
    updated(page, lambda: page.get_by_label("Seed").fill("x"))
    expect(page.locator("#d-seed")).to_contain_text("is not a whole number")
    assert page.get_by_label("Seed").evaluate("each => each === document.activeElement")
    expect(page.locator("#as-text-curl")).to_be_visible(visible=False)


def test_a_video_is_the_same_after_a_reload_and_in_another_tab(house: House, account: Account, page: Page) -> None:
    updated(page, lambda: page.get_by_label("Model", exact=True).select_option("endless-clip"))
    page.get_by_label("Prompt", exact=True).fill("A boat leaves")
    page.get_by_role("button", name="Run").click()
    page.wait_for_url("**?run=**")
    (id_,) = runs(page)
    expect(page.locator("article progress")).to_be_visible()
    expect(page.locator("article.run")).to_contain_text("$0.20")
    expect(page.locator("article.run")).to_contain_text("running", timeout=30_000)
    house.tell_progress(id_, 0.4)
    expect(page.locator("article progress")).to_have_attribute("value", "0.4")
    other = page.context.new_page()
    other.goto(page.url)
    for each in (page, other):
        each.reload()
        expect(each.locator("article progress")).to_have_attribute("value", "0.4")
        expect(each.get_by_label("Prompt", exact=True)).to_have_value("A boat leaves")
    assert shown_everywhere(other) == []
    other.get_by_role("button", name="Cancel").click()
    expect(other.locator("article.run")).to_contain_text("canceled")
    page.bring_to_front()
    expect(page.locator("article.run")).to_contain_text("canceled")
    expect(page.locator("#announcer")).to_have_text("endless-clip: canceled")
    assert made_of(house, account.workspace) == 1


def test_a_video_comes_by_itself(house: House, page: Page) -> None:
    updated(page, lambda: page.get_by_label("Model", exact=True).select_option("slow-clip"))
    page.get_by_label("Prompt", exact=True).fill("A boat leaves")
    page.get_by_role("button", name="Run").click()
    video = page.locator("video.result")
    video.wait_for(timeout=30_000)
    expect(video).to_have_js_property("error", None)
    expect(video).to_have_js_property("videoWidth", 64)
    expect(page.locator("article.run")).to_contain_text("$0.20")


def test_pictures_dropped_pasted_picked_and_removed(house: House, account: Account, page: Page) -> None:
    page.get_by_label("Prompt", exact=True).fill("A red boat")
    updated(page, lambda: give(page, "#group-reference_image", "drop", ("one.png", picture("red"))))
    updated(page, lambda: give(page, "#f-prompt", "paste", ("two.png", picture("blue"))))
    chosen = page.locator("#chosen-reference_image li")
    expect(chosen).to_have_count(2)
    expect(page.locator("#as-text-json")).to_contain_text("<two.png>")
    give(page, "#f-prompt", "paste", ("three.png", picture("green")))
    expect(chosen).to_have_count(2)
    updated(page, lambda: page.get_by_role("button", name="Remove one.png").click())
    expect(chosen).to_have_count(1)
    page.get_by_role("button", name="Run").click()
    page.locator("img.result").wait_for()
    (first,) = runs(page)
    expect(chosen).to_have_count(1)
    updated(page, lambda: page.get_by_role("link", name="Use as reference").click())
    assert page.locator(f"input[value='{first}']").is_checked()
    page.get_by_text("Compare", exact=True).click()
    assert shown_everywhere(page) == []
    page.get_by_role("button", name="Run").click()
    page.wait_for_url(lambda url: first not in url)
    (second,) = runs(page)
    ended(house, first, second)
    kept = dict(house.run("select id, request->'references' from generations where id = any(%s)", [first, second]))
    assert [len(kept[id_]) for id_ in (first, second)] == [1, 2]
    # A model that takes none leaves them aside; one that takes them in other roles gets them.
    updated(page, lambda: page.get_by_label("Model", exact=True).select_option("drawn"))
    expect(page.locator(".references")).to_have_count(0)
    updated(page, lambda: page.get_by_label("Model", exact=True).select_option("clip"))
    expect(page.locator("#chosen-first_frame li")).to_have_count(1)


def test_models_side_by_side(house: House, account: Account, page: Page) -> None:
    page.get_by_label("Prompt", exact=True).fill("A red boat")
    page.get_by_text("Compare", exact=True).click()
    updated(page, lambda: page.get_by_label("Images in several sizes (wide)").check())
    updated(page, lambda: page.get_by_label("An image that fails (failing-image)").check())
    expect(page.locator("#price")).to_have_text("$0.135")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("img.result")).to_have_count(2)
    expect(page.locator("article.run .notice.bad")).to_contain_text("generation_failed")
    assert len(runs(page)) == 3
    ended(house, *runs(page))
    assert made_of(house, account.workspace) == 3


def test_what_it_refuses_keeps_the_form_and_its_pictures(house: House, open_window: Open) -> None:
    account = house.create(credit="0.01")
    page = entered(open_window(reduced_motion="reduce"), account)
    page.get_by_label("Prompt", exact=True).fill("A red boat")
    updated(page, lambda: give(page, "#group-reference_image", "drop", ("one.png", picture("red"))))
    expect(page.locator("#after")).to_contain_text("$0.04 are missing")
    page.get_by_label("Prompt", exact=True).press("End")
    page.keyboard.type("s")
    page.keyboard.press("Control+Enter")  # before the price of what was typed is asked for
    expect(page.get_by_role("alert")).to_contain_text("$0.04 are missing")
    page.wait_for_timeout(500)
    expect(page.get_by_role("alert")).to_contain_text("$0.04 are missing")
    expect(page.locator("#chosen-reference_image li")).to_have_count(1)
    assert page.evaluate("document.querySelector('#file-reference_image').files.length") == 1
    assert shown_everywhere(page) == []
    assert made_of(house, account.workspace) == 0


def test_by_the_keyboard_alone(house: House, account: Account, open_window: Open) -> None:
    page = entered(open_window(reduced_motion="reduce"), account, "?model=wide")

    def to(selector: str) -> None:
        for _ in range(60):
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{selector} cannot be reached")

    to("#f-prompt")
    page.keyboard.type("A red boat")
    to("#f-resolution")
    updated(page, lambda: page.keyboard.press("ArrowDown"))
    expect(page.locator("#price")).to_have_text("$0.0405")
    to("#f-seed")
    page.keyboard.type("7")
    updated(page, lambda: page.keyboard.press("Enter"))
    assert runs(page) == [], "Enter in a field buys nothing"
    to("#compare summary")
    page.keyboard.press("Enter")
    to("#compare input")
    updated(page, lambda: page.keyboard.press("Space"))
    expect(page.locator("#price")).to_have_text("$0.0905")
    to("#do-run")
    page.keyboard.press("Enter")
    expect(page.locator("img.result")).to_have_count(2)
    to("#as-json")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#as-text-curl")).to_be_visible()
    to("article.run a[href*='from=']:not([data-use])")
    page.keyboard.press("Enter")
    page.wait_for_url("**?from=**")
    expect(page.get_by_label("Resolution")).to_have_value("2K")
    expect(page.get_by_label("Seed")).to_have_value("7")


def test_without_scripts(house: House, account: Account, open_window: Open) -> None:
    page = entered(open_window(java_script_enabled=False), account)
    page.get_by_label("Prompt", exact=True).fill("A boat leaves")
    page.get_by_label("Model", exact=True).select_option("slow-clip")
    page.get_by_role("button", name="Update").click()
    expect(page.get_by_label("Seconds")).to_have_value("2")
    expect(page.locator("#price")).to_have_text("$0.20")
    page.get_by_role("button", name="Run").click()
    page.wait_for_url("**?run=**")
    page.locator("video.result").wait_for(timeout=30_000)
    expect(page.locator("article.run")).to_contain_text("$0.20")
    ended(house, *runs(page))
    page.get_by_label("Model", exact=True).select_option("still")
    page.get_by_role("button", name="Update").click()
    page.get_by_label("Files for reference images").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": picture()}
    )
    page.get_by_role("button", name="Run").click()
    page.locator("img.result").wait_for(timeout=30_000)
    (id_,) = runs(page)
    assert house.run("select jsonb_array_length(request->'references') from generations where id = %s", id_) == [(1,)]
