"""What was spent, and the catalog, as a browser shows them: by eye, by the keyboard, and without scripts."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page

from tests.contract.accounts import Account
from tests.dashboard.browsing import Window, shown_everywhere, violations
from tests.dashboard.conftest import House
from tests.support.histories import Past, put_on_record

Open = Callable[..., Window]
MODELS = ("still", "drawn", "clip", "scene", "slow-still", "slow-clip", "gone-by", "long-gone")


@pytest.fixture(scope="module")
def account(house: House) -> Account:
    """Weeks of images and videos by more models than a chart has series, with failures and end users."""
    made = house.create()
    now = datetime.now(UTC)
    history = [
        Past(
            at=now - timedelta(days=(3 * n) % 29),
            model=MODELS[n % 8],
            type="video" if n % 8 in (2, 3, 5) else "image",
            key_id=(None, made.key_id)[n % 2],
            end_user=(None, "a3f19c", "77be02")[n % 3],
            state="failed" if n % 7 == 3 else "completed",
            price_nanos=(n % 8 + 1) * 12_345_000,
        )
        for n in range(60)
    ]
    (number,) = house.run("select id from workspaces where name = %s", made.workspace)[0]
    put_on_record(house.database_url, number, history)
    with made.http() as client:
        client.post("/v2/videos/generations", json={"model": "endless-clip", "prompt": "a hill"})
    house.run(
        "insert into daily_refusals (workspace_id, date, type, model, api_key_id, reason, count)"
        " values (%s, (now() at time zone 'UTC')::date, 'image', 'still', null, 'rate_limit', 4)",
        number,
    )
    return made


def cells(page: Page, table: str) -> list[list[str]]:
    """The lines of a table's body, as they are shown."""
    lines = page.get_by_role("region", name=table, exact=True).locator("tbody tr").all()
    return [[cell.inner_text() for cell in line.locator("th, td").all()] for line in lines]


def test_the_pages_are_for_everybody(account: Account, house: House, open_window: Open) -> None:
    window = open_window()
    page = window.sign_in(account.key)
    page.goto("/dashboard/spend?by=model")
    page.get_by_text("These days are proven").wait_for()
    assert shown_everywhere(page) == []
    page.get_by_text("Both charts as a table").click()
    assert violations(page) == []
    page.goto("/dashboard/spend?last=2026-02-30")
    assert violations(page) == []
    for path in ("/dashboard/models", "/dashboard/models/clip"):
        page.goto(path)
        assert shown_everywhere(page) == [], path


def test_an_operator_sees_more(account: Account, house: House, open_window: Open) -> None:
    page = open_window().sign_in(house.code())
    page.goto(f"/dashboard/models/clip?workspace={account.workspace}")
    page.get_by_role("heading", name="What is behind it").wait_for()
    assert shown_everywhere(page) == []


def test_a_chart_says_what_its_table_says(account: Account, open_window: Open) -> None:
    """Each series is in the legend and a column of the table; each bar tells its day."""
    page = open_window().sign_in(account.key)
    page.goto("/dashboard/spend?by=model")
    chart = page.get_by_role("img", name="Cost by day and model")
    legend = page.locator("figure", has=chart).locator(".legend li").all_inner_texts()
    assert len(legend) == 7
    assert legend[-1] == "others"
    page.get_by_text("Both charts as a table").click()
    columns = page.get_by_role("region", name="The charts").locator("thead th").all_inner_texts()
    assert columns == ["Day (UTC)", *legend, "Cost", "Completed", "Failed"]
    lines = cells(page, "The charts")
    assert len(lines) == 30
    titles = set(chart.locator("rect > title").all_text_contents())
    assert titles == {f"{line[0]}: {line[8]}" for line in lines if line[8] != "$0.00"}


def test_a_file_is_what_the_page_shows(account: Account, open_window: Open) -> None:
    page = open_window().sign_in(account.key)
    page.goto("/dashboard/spend?by=end_user&type=image")
    shown = cells(page, "By end user")
    with page.expect_download() as download:
        page.locator(".row", has=page.get_by_role("heading", name="By end user")).get_by_text("CSV").click()
    with download.value.path().open(newline="") as file:
        header, *lines = list(csv.reader(file))
    assert header == ["end_user", "completed", "failed", "images", "video_seconds", "cost"]
    assert [[*line[:5], f"${float(line[5]):.9f}".rstrip("0")] for line in lines] == [
        [*line[:5], f"${float(line[5][1:]):.9f}".rstrip("0")] for line in shown
    ]
    assert {line[0] for line in lines} == {"a3f19c", "77be02", "without an end user"}


def test_by_the_keyboard_alone(account: Account, open_window: Open) -> None:
    """Group, narrow to a model, and read the proof of what is left."""
    page = open_window().sign_in(account.key)
    page.goto("/dashboard/spend")
    page.get_by_label("By", exact=True).focus()
    page.keyboard.type("Model")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "Show":
            break
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="By model").wait_for()
    link = page.get_by_role("region", name="By model").get_by_role("link", name="drawn", exact=True)
    for _ in range(80):
        page.keyboard.press("Tab")
        if link.evaluate("link => link === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="By day").wait_for()
    assert page.get_by_label("Model", exact=True).input_value() == "drawn"


def test_without_scripts(account: Account, house: House, open_window: Open) -> None:
    page = open_window(java_script_enabled=False).sign_in(house.code())
    page.goto(f"/dashboard/spend?workspace={account.workspace}")
    page.get_by_label("By", exact=True).select_option("type")
    page.get_by_role("button", name="Show").click()
    assert [line[0] for line in cells(page, "By type")] == ["image", "video"]
    page.get_by_role("link", name="7 days").click()
    page.get_by_role("heading", name="By type").wait_for()
    page.get_by_role("link", name="Prove these days").click()
    page.get_by_text("These days are proven").wait_for()
    page.get_by_role("link", name="Back to what was spent").click()
    page.get_by_role("button", name="Check the books now").click()
    page.get_by_text("The books were checked").wait_for()
    page.goto("/dashboard/models")
    page.get_by_label("Search").fill("drawn")
    page.get_by_role("button", name="Show").click()
    assert [line[0] for line in cells(page, "Models")] == ["drawn", "scene"]
