"""The page of what was spent, without a browser: what it says is what the database has, and nobody else's."""

from __future__ import annotations

import csv
import io
import random
import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from safelight.accounts.books import check_books
from safelight.dashboard.templates import usd
from safelight.domain.money import as_decimal
from safelight.domain.scope import OPERATOR
from tests.contract.accounts import Account
from tests.dashboard.conftest import Enter, House, Visitor
from tests.support.histories import Past, put_on_record
from tests.support.postgres import on_database
from tests.support.server import eventually

# What the words of a grouping are of a generation.
NAMES = {
    "day": "(finished_at at time zone 'UTC')::date::text",
    "model": "model",
    "key": "api_key_id::text",
    "type": "type::text",
    "end_user": "coalesce(end_user, '')",
}


def make_something(house: House) -> Account:
    """A workspace that made images and videos by two keys, in two dialects, for two end users, and failed in places."""
    account = house.create()
    other = house.another_key(account)
    for key, path, body in (
        (account, "/v2/images/generations", {"model": "still", "prompt": "a hill"}),
        (account, "/v2/images/generations", {"model": "failing-image", "prompt": "a hill"}),
        (other, "/v2/images/generations", {"model": "drawn", "prompt": "a hill"}),
        (other, "/v2/videos/generations", {"model": "clip", "prompt": "a hill", "duration": 5}),
        (other, "/v2/videos/generations", {"model": "failing-video", "prompt": "a hill"}),
        (account, "/v1/images/generations", {"model": "still", "prompt": "a hill", "user": "ann"}),
        (other, "/v1/images/generations", {"model": "still", "prompt": "a hill", "user": "bob"}),
    ):
        with key.http() as client:
            client.post(path, json=body)
    number = house.workspace_id(account)
    count = "select count(*) from generations where workspace_id = %s and finished_at is null"
    eventually(lambda: house.run(count, number) == [(0,)], "all of it ended")
    return account


def rows(visitor: Visitor, query: str = "", name: str = "") -> list[dict[str, str]]:
    answer = visitor.get(f"/dashboard/spend{name}.csv?{query}")
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def alert(page: str) -> str:
    """What the page says is wrong."""
    found = re.search(r'role="alert">([^<]*)<', page)
    assert found is not None
    return unescape(found[1])


def test_each_grouping_is_what_the_generations_say(house: House, visitor: Enter) -> None:
    account = make_something(house)
    number = house.workspace_id(account)
    reader = visitor(account.key)
    keys = {f"{name} ({key})": str(key) for key, name in house.run("select id, name from api_keys")}
    words = {**keys, "without an end user": ""}
    total = int(house.run("select sum(charged_nanos) from generations where workspace_id = %s", number)[0][0])
    assert total > 0
    for by, name in NAMES.items():
        expected = {
            row[0]: row[1:]
            for row in house.run(
                f"select {name}, count(*) filter (where state = 'completed'),"
                " count(*) filter (where state <> 'completed'), sum(charged_nanos)::bigint"
                " from generations where workspace_id = %s group by 1",
                number,
            )
        }
        told = {
            words.get(row[by], row[by]): (int(row["completed"]), int(row["failed"]), Decimal(row["cost"]))
            for row in rows(reader, f"by={by}")
        }
        if by == "day":
            assert len(told) == 30
            told = {day: sums for day, sums in told.items() if any(sums)}
        assert told == {name: (done, failed, as_decimal(cost)) for name, (done, failed, cost) in expected.items()}, by
        page = reader.get("/dashboard/spend", params={"by": by}).text
        assert page.count(f">{usd(total)}<") >= 2, "the total stands above, and below the table"
    balance = house.run("select available_nanos from accounts where workspace_id = %s", number)
    assert balance == [(1000 * 10**9 - total,)]
    books = on_database(house.database_url, lambda db: check_books(OPERATOR, db))
    assert not [each for each in books.problems() if account.workspace in each]


def test_every_figure_leads_to_its_rows(house: House, visitor: Enter) -> None:
    """The jobs behind a figure are those of its days, and of all that the page is narrowed to."""
    account = make_something(house)
    reader = visitor(account.key)
    today = str(datetime.now(UTC).date())
    page = reader.get("/dashboard/spend", params={"by": "model", "type": "image", "key": account.key_id}).text
    links = {unescape(each) for each in re.findall(r'href="(/dashboard/jobs\?[^"]+)"', page)}
    asked = [parse_qs(urlsplit(link).query) for link in links]
    first = str(datetime.now(UTC).date() - timedelta(days=29))
    shared = {"first": [first], "last": [today], "type": ["image"], "key": [str(account.key_id)], "dates": ["ended"]}
    assert {**shared} in asked
    assert {**shared, "model": ["still"], "state": ["completed"]} in asked
    assert {**shared, "model": ["failing-image"], "state": ["failed", "canceled"]} in asked
    assert all(shared.items() <= each.items() for each in asked)
    narrower = {unescape(each) for each in re.findall(r'href="(/dashboard/spend\?[^"]+)"', page)}
    (link,) = [each for each in narrower if "model=still&" in each]
    only = rows(reader, urlsplit(link).query.replace("by=day", "by=model"))
    assert [row["model"] for row in only] == ["still"]


def test_the_rows_behind_a_figure_add_up_to_it(house: House, visitor: Enter) -> None:
    """What ended on the days of the page, whenever it was asked for; without a key; captured in part; for end users."""
    account = house.create()
    number, midnight = house.workspace_id(account), datetime.combine(datetime.now(UTC).date(), time(), UTC)
    rng, tick = random.Random(20261130), timedelta(microseconds=1)
    history = [
        Past(
            at=midnight - timedelta(days=rng.randrange(3)) - rng.choice([tick, timedelta(0), timedelta(hours=5)]),
            model=model,
            type=type_,
            key_id=rng.choice([None, account.key_id]),
            end_user=rng.choice([None, "a" * 64]),
            state=rng.choice(["completed", "completed", "failed", "canceled"]),
            quantity=quantity,
            before=timedelta(seconds=rng.choice([1, 3600, 86400 * 2])),
            delivered=rng.choice([1000 * quantity, 1500]) if quantity > 1 else 1000,
        )
        for _ in range(60)
        for model, type_, quantity in [rng.choice([("still", "image", 1), ("clip", "video", 5)])]
    ]
    put_on_record(house.database_url, number, history)
    reader, figures = visitor(account.key), 0
    for query in ("by=day", "by=model", "by=key", "by=type", "by=end_user", "by=model&type=video", "by=day&key=none"):
        page = reader.get(f"/dashboard/spend?{query}").text
        for link, figure in re.findall(r'<td class="number"><a href="/dashboard/jobs([?][^"]+)">([^<]+)</a>', page):
            found = reader.get(f"/dashboard/jobs.json{unescape(link)}").json(parse_float=Decimal)
            cost = sum(Decimal(each["cost"] or 0) for each in found)
            assert figure == (usd(int(cost.scaleb(9))) if figure.startswith("$") else str(len(found))), (query, link)
            figures += 1
    assert figures > 40


def test_borders_of_days_are_midnights_in_utc(house: House, visitor: Enter) -> None:
    account = house.create()
    today = datetime.now(UTC).date()
    midnight = datetime.combine(today - timedelta(days=2), time(), UTC)
    tick = timedelta(microseconds=1)
    history = [Past(at=midnight - tick), Past(at=midnight), Past(at=midnight), Past(at=midnight + timedelta(1) - tick)]
    put_on_record(house.database_url, house.workspace_id(account), [*history, Past(at=midnight + timedelta(1))])
    reader = visitor(account.key)
    for days, completed in ((3, 1), (2, 3), (1, 1)):
        day = str(today - timedelta(days=days))
        (row,) = rows(reader, f"first={day}&last={day}")
        assert (row["day"], row["completed"]) == (day, str(completed))
    by_day = rows(reader, f"first={today - timedelta(days=3)}&last={today}", name="/days")
    assert [row["completed"] for row in by_day] == ["1", "3", "1", "0"]
    assert [row["cost of still"] for row in by_day] == ["0.05", "0.15", "0.05", "0"]


def test_nothing_of_another_workspace_is_there(house: House, visitor: Enter) -> None:
    owner, stranger = make_something(house), house.create()
    reader = visitor(stranger.key)
    for by in NAMES:
        assert all(row["completed"] == row["failed"] == "0" for row in rows(reader, f"by={by}"))
    page = reader.get("/dashboard/spend").text
    assert owner.workspace not in page
    assert "Nothing ended on these days" in reader.get("/dashboard/spend", params={"by": "model"}).text
    theirs = reader.get("/dashboard/spend", params={"key": owner.key_id})
    nobodys = reader.get("/dashboard/spend", params={"key": 999_999})
    assert (theirs.status_code, nobodys.status_code) == (400, 400)
    assert alert(theirs.text).replace(f"'{owner.key_id}'", "N") == alert(nobodys.text).replace("'999999'", "N")
    assert reader.get("/dashboard/spend", params={"workspace": owner.workspace}).status_code == 404


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("first=2026-03-02&last=2026-03-01", "The last date is before the first."),
        ("first=2026-02-30", "is no date"),
        ("first=yesterday", "is no date"),
        ("first=2024-01-01&last=2026-01-01", "more than 400 days"),
        ("key=7777777", "There is no key"),
        ("key=all", "There is no key"),
        ("model=nobody", "There is no model"),
        ("type=sound", "is not one of image, video"),
        ("by=moon", "is not one of day, model, key, type, end_user"),
        ("by=end_user&key=none", "End users are counted over all keys"),
        ("by=day&by=model", "by is given twice"),
    ],
)
def test_what_cannot_be_asked_for_is_said_on_the_page(house: House, visitor: Enter, query: str, says: str) -> None:
    reader = visitor(house.create().key)
    answer = reader.get(f"/dashboard/spend?{query}")
    assert answer.status_code == 400
    assert says in alert(answer.text)
    assert '<h2 id="balance">' in answer.text, "the rest of the page is there"
    assert reader.get(f"/dashboard/spend.csv?{query}").status_code == 400


def test_400_days_are_shown(house: House, visitor: Enter) -> None:
    today = datetime.now(UTC).date()
    assert len(rows(visitor(house.create().key), f"first={today - timedelta(days=399)}&last={today}")) == 400


def test_the_proof_of_the_page(house: House, visitor: Enter) -> None:
    """A piece for the page, a page of its own for who has no scripts; and it fails where one account says otherwise."""
    account = make_something(house)
    reader = visitor(account.key)
    piece = reader.get("/dashboard/spend/proof", headers={"hx-request": "true"}).text
    assert piece.lstrip().startswith('<div id="proof"')
    assert "These days are proven" in piece
    assert len(set(re.findall(r"<dd>([^<]+)</dd>", piece))) == 1
    assert "<h1>Proof</h1>" in reader.get("/dashboard/spend/proof").text
    change = "update daily_usage set cost_nanos = cost_nanos + %s where workspace_id = %s and model = 'still'"
    number = house.workspace_id(account)
    house.run(change, 1, number)
    try:
        assert "These days do not agree" in reader.get("/dashboard/spend/proof").text
    finally:
        house.run(change, -1, number)


def test_files_of_what_else_is_on_the_page(house: House, visitor: Enter) -> None:
    account = house.create(credit="12.5")
    house.run(
        "insert into daily_refusals (workspace_id, date, type, model, api_key_id, reason, count)"
        " values (%s, (now() at time zone 'UTC')::date, 'image', 'still', %s, 'rate_limit', 4)",
        house.workspace_id(account),
        account.key_id,
    )
    reader = visitor(account.key)
    (credit,) = rows(reader, name="/credit")
    assert (credit["amount"], credit["reason"]) == ("12.5", "for a test")
    assert rows(reader, name="/refused") == [{"reason": "rate_limit", "count": "4"}]
    told: Any = reader.get("/dashboard/spend/refused.json").json()
    assert told == [{"reason": "rate_limit", "count": 4}]
    for name in ("spend.xml", "spend", "other.csv", "..csv"):
        assert reader.get(f"/dashboard/spend/{name}").status_code == 404
