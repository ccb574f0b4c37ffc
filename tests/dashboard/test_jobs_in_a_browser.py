"""Jobs in a real browser: live, by the keyboard alone, without scripts, and read by axe."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.contract.accounts import Account
from tests.dashboard.browsing import Window, shown_everywhere
from tests.dashboard.conftest import House
from tests.dashboard.test_job import ended
from tests.dashboard.test_jobs import image, video
from tests.support.server import eventually

Open = Callable[..., Window]
HIDE = """hidden => {
    Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture
def account(house: House) -> Account:
    return house.create()


def run(house: House, account: Account, model: str) -> str:
    """A video that is running."""
    with account.http() as client:
        id_ = video(client, model)
    eventually(
        lambda: house.run("select state::text from generations where id = %s", id_) == [("running",)], "it is running"
    )
    return id_


def press_to(page: Page, name: str) -> None:
    """Go on by Tab to what has this name."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == name:
            return
    raise AssertionError(f"Tab does not lead to {name!r}")


def test_the_list_is_live(house: House, account: Account, open_window: Open) -> None:
    waiting = run(house, account, "endless-clip")
    page = open_window().sign_in(account.key)
    streams = count_streams(page)
    page.goto("/dashboard/jobs")
    rows = page.locator("#jobs tbody tr")
    expect(rows).to_have_count(1)
    expect(page.locator(f"#{waiting}")).to_contain_text("running")
    page.evaluate("window.marked = 1")
    with account.http() as client:
        made = image(client, "still")
        expect(rows).to_have_count(2)
        expect(rows.first).to_have_id(made)
        expect(rows.first).to_contain_text("completed")
        house.tell_progress(waiting, 0.4)
        expect(page.locator(f"#{waiting}")).to_contain_text("40 %")
        announced = page.locator("#announcer")
        assert "endless-clip" not in announced.inner_text(), "no progress is announced"
        client.delete(f"/v2/videos/generations/{waiting}")
        expect(page.locator(f"#{waiting}")).to_contain_text("canceled")
        expect(announced).to_have_text("endless-clip: canceled")
    assert page.evaluate("window.marked") == 1, "without a reload"
    assert len(streams) == 2, "one for the overview, one for this page"


def count_streams(page: Page) -> list[str]:
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/dashboard/live" in request.url else None)
    streams += ["the overview's"]
    return streams


def test_a_tab_that_nobody_sees_has_no_stream_and_catches_up(house: House, account: Account, open_window: Open) -> None:
    page = open_window().sign_in(account.key)
    page.goto("/dashboard/jobs")
    expect(page.locator("#jobs")).to_contain_text("Nothing was asked for here yet.")
    streams = count_streams(page)
    page.evaluate(HIDE, True)
    with account.http() as client:
        made = image(client, "still")
    expect(page.locator(f"#{made}")).to_have_count(0)
    page.evaluate(HIDE, False)
    expect(page.locator(f"#{made}")).to_contain_text("completed")
    assert len(streams) == 2, "the one it had before, and one again"


def test_the_tab_goes_on_after_the_stream_was_refused(house: House, account: Account, open_window: Open) -> None:
    """As when the database is away: the browser itself gives up a stream that is answered with 503."""
    page = open_window().sign_in(account.key)
    answers = iter([503, 503])
    page.clock.install()

    def answer(route: Any) -> None:
        status = next(answers, None)
        if status is None:
            route.continue_()
        else:
            route.fulfill(status=status)

    page.route("**/dashboard/live*", answer)
    with page.expect_response(lambda response: response.status == 503):
        page.goto("/dashboard/jobs")
    with page.expect_response(lambda response: response.status == 503):
        page.clock.fast_forward(3_100)
    with account.http() as client:
        made = image(client, "still")
    page.clock.fast_forward(6_100)
    expect(page.locator(f"#{made}")).to_contain_text("completed")


def test_a_job_is_canceled_by_keys_alone_and_tells_its_end(house: House, account: Account, open_window: Open) -> None:
    id_ = run(house, account, "endless-clip")
    page = open_window().sign_in(account.key)
    page.goto(f"/dashboard/jobs/{id_}")
    expect(page.get_by_role("heading", name="Video by endless-clip")).to_be_visible()
    house.tell_progress(id_, 0.25)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "25")
    press_to(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.locator("#job > .head")).to_contain_text("canceled")
    expect(page.get_by_role("region", name="Timeline")).to_contain_text("Canceled and settled")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert ended(house, id_)


def test_media_is_deleted_by_keys_alone_after_a_second_word(house: House, account: Account, open_window: Open) -> None:
    with account.http() as client:
        id_ = image(client, "still")
    page = open_window().sign_in(account.key)
    page.goto(f"/dashboard/jobs/{id_}")
    expect(page.get_by_role("region", name="Media")).to_contain_text("provenance valid")
    expect(page.get_by_role("button", name="Delete the media for good")).to_be_hidden()
    press_to(page, "Delete now…")
    page.keyboard.press("Enter")
    press_to(page, "Delete the media for good")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The media is deleted")
    expect(page.get_by_role("link", name="Signed statement (JWS)")).to_be_visible()
    assert house.run("select count(*) from media where generation_id = %s and deleted_at is null", id_) == [(0,)]


def test_what_is_copied_as_curl_makes_the_same_again(house: House, account: Account, open_window: Open) -> None:
    prompt = 'It\'s a "fox" & $HOME `x` \\ \u2603'
    with account.http() as client:
        body = {"model": "still", "prompt": prompt, "seed": 3, "output_format": "png"}
        first = client.post("/v2/images/generations", json=body).json()["id"]
    window = open_window()
    window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = window.sign_in(account.key)
    page.goto(f"/dashboard/jobs/{first}")
    page.get_by_role("button", name="Copy").locator("visible=true").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    environment = {**os.environ, "SAFELIGHT_API_KEY": account.key, "no_proxy": "*"}
    ran = subprocess.run(
        ["bash", "-c", copied], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    second = json.loads(ran.stdout)["id"]
    requests = house.run("select request from generations where id = any(%s)", [first, second])
    assert requests[0] == requests[1]
    assert requests[0][0]["prompt"] == prompt


def test_without_scripts_it_is_the_same(house: House, account: Account, open_window: Open) -> None:
    id_ = run(house, account, "endless-clip")
    with account.http() as client:
        made = image(client, "still")
    page = open_window(java_script_enabled=False).sign_in(account.key)
    page.goto("/dashboard/jobs")
    page.get_by_label("State").select_option("under_way")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#jobs tbody tr")).to_have_count(1)
    assert re.search(r"[?&]state=under_way", page.url)
    page.locator(f"#{id_}").get_by_role("link").click()
    page.get_by_role("button", name="Cancel").click()
    eventually(lambda: ended(house, id_), "it is canceled")
    page.goto(f"/dashboard/jobs/{made}")
    page.get_by_role("link", name="Check the provenance").click()
    expect(page.locator("main")).to_contain_text("provenance valid")
    page.get_by_role("link", name="To the job").click()
    page.get_by_text("Delete now…").click()
    page.get_by_role("button", name="Delete the media for good").click()
    expect(page.get_by_role("status").first).to_contain_text("The media is deleted")
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name="Refused").click()
    expect(page.locator("#total")).to_have_text("0")


def test_all_of_it_is_for_everybody(house: House, open_window: Open) -> None:
    poor = house.create(credit="0.60")
    with poor.http() as client:
        made = image(client, "still")
        image_failed = client.post("/v2/images/generations", json={"model": "failing-image", "prompt": "a hill"})
        assert image_failed.status_code != 200
        clip = video(client, "clip")
        eventually(lambda: ended(house, clip), "the clip")
        waiting = video(client, "endless-clip")
        refused = client.post("/v2/videos/generations", json={"model": "clip", "prompt": "a hill", "duration": 5})
        assert refused.status_code == 402
    page = open_window().sign_in(house.code())
    workspace = f"?workspace={poor.workspace}"
    page.goto(f"/dashboard/jobs{workspace}")
    assert shown_everywhere(page) == []
    for id_ in (made, clip, waiting):
        page.goto(f"/dashboard/jobs/{id_}{workspace}")
        if id_ != waiting:
            expect(page.get_by_role("region", name="Media")).to_contain_text("provenance valid")
        expect(page.get_by_role("region", name="Backends")).to_be_visible()
        assert shown_everywhere(page) == []
    page.goto(f"/dashboard/jobs/refused{workspace}")
    expect(page.locator("#total")).to_have_text("1")
    assert shown_everywhere(page) == []
