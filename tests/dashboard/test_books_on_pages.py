"""The verdict of the books on the pages, on a server of its own: elsewhere tests write rows that no service wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.dashboard.browsing import Window
from tests.dashboard.conftest import Enter, House, open_house
from tests.support.postgres import TestDatabases


@pytest.fixture(scope="module")
def house(databases: TestDatabases) -> Iterator[House]:
    with open_house(databases) as opened:
        yield opened


def test_the_verdict_of_the_books(house: House, visitor: Enter) -> None:
    """Each sees what concerns their workspace; an operator sees all, and checks anew."""
    account, other = house.create(), house.create()
    reader, stranger, operator = visitor(account.key), visitor(other.key), visitor(house.code())
    problem = f"available of {account.workspace} has drifted"
    for _ in range(2):  # the check that comes every five minutes may replace it meanwhile
        house.run(
            "insert into books_check (problems) values (%s)"
            " on conflict (is_newest) do update set problems = excluded.problems",
            [problem],
        )
        mine, theirs = reader.get("/dashboard/spend").text, stranger.get("/dashboard/spend").text
        all_of_it = operator.get("/dashboard/spend", params={"workspace": other.workspace}).text
        if house.run("select problems from books_check") == [([problem],)]:
            break
    assert "Not proven" in mine
    assert "nothing of this workspace is out of balance" in theirs
    assert account.workspace not in theirs
    assert problem in all_of_it

    for somebody in (reader, visitor(house.key_with(account, "admin").key)):
        assert somebody.post("/dashboard/spend/check").status_code == 403
    answer = operator.post("/dashboard/spend/check")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/spend?said=books_checked")
    assert house.run("select problems from books_check") == [([],)]
    assert house.run("select role, detail from audit_log where action = 'books.check'") == [
        ("operator", {"balances": True})
    ]
    page = reader.get("/dashboard/spend").text
    assert "the ledger, the daily usage and the jobs agree" in page


def test_all_of_the_books_are_checked_at_a_press(house: House, open_window: Callable[..., Window]) -> None:
    account = house.create()
    with account.http() as client:
        assert client.post("/v2/images/generations", json={"model": "still", "prompt": "a boat"}).status_code == 200
    page = open_window().sign_in(house.code())
    page.goto(f"/dashboard/spend?workspace={account.workspace}")
    page.get_by_role("button", name="Check the books now").click()
    page.get_by_text("The books were checked").wait_for()
    page.get_by_text("the daily usage and the jobs agree").wait_for()
    page.goto("/dashboard/operator/health")
    page.get_by_role("button", name="Check all").click()
    page.get_by_text("they balance").wait_for()
