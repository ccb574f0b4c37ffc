"""The gallery over HTTP: pages, filters, dates, files, deletion, and whose it all is."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from safelight.domain.ids import first_id_at
from tests.contract.accounts import Account
from tests.dashboard.conftest import Enter, House, Visitor
from tests.support.media_in_bulk import put_on_record

TILE = re.compile(r'data-id="(req-\w{26})"')
NEXT = re.compile(r'rel="next" href="([^"]+)"')
PREVIOUS = re.compile(r'rel="prev" href="([^"]+)"')


def put(house: House, account: Account, times: list[datetime], **options: object) -> list[str]:
    with psycopg.connect(house.database_url) as connection:
        return put_on_record(connection, house.workspace_id(account), times, **options)  # type: ignore[arg-type]


def link_in(text: str, pattern: re.Pattern[str]) -> str | None:
    found = pattern.search(text)
    return found[1].replace("&amp;", "&") if found else None


def paged(reader: Visitor, address: str, pattern: re.Pattern[str] = NEXT) -> list[list[str]]:
    """The ids of each page from an address on, as its links lead."""
    pages, seen = [], set()
    while address not in seen:
        seen.add(address)
        answer = reader.get(address)
        assert answer.status_code == 200, answer.text
        pages.append(TILE.findall(answer.text))
        address = link_in(answer.text, pattern) or address
    return pages


NOW = datetime.now(UTC)


def test_every_page_once_with_ties_and_deletions_between(house: House, visitor: Enter) -> None:
    account = house.create()
    # Seven of each millisecond, images and videos in turn.
    times = [NOW - timedelta(minutes=20 * (number // 7)) for number in range(515)]
    ids = put(house, account, times, types=("image", "video"))
    reader = visitor(account.key)
    first = reader.get("/dashboard/gallery")
    shown = TILE.findall(first.text)
    assert shown == sorted(ids, reverse=True)[:60]
    on = link_in(first.text, NEXT)
    assert on is not None
    # The last of the page that was read, and one of the next, are deleted before it is asked for.
    rest = sorted(ids, reverse=True)[60:]
    for gone in (shown[-1], rest[5]):
        with account.http() as client:
            assert client.delete(f"/v2/generations/{gone}/media").status_code == 200
    pages = paged(reader, on)
    assert [each for page in pages for each in page] == [each for each in rest if each != rest[5]]
    assert [len(page) for page in pages[:-1]] == [60] * (len(pages) - 1)
    # From the oldest back to the newest, by the links that lead there.
    back = paged(reader, f"/dashboard/gallery?before=req-{'0' * 26}", PREVIOUS)
    found = [each for page in back for each in reversed(page)]
    assert found == sorted(set(ids) - {shown[-1], rest[5]})
    # The other way round is the same list turned.
    turned = [each for page in paged(reader, "/dashboard/gallery?order=oldest") for each in page]
    assert turned == found


def test_only_what_can_be_shown(house: House, visitor: Enter) -> None:
    account = house.create()
    (kept,) = put(house, account, [NOW])
    put(house, account, [NOW - timedelta(days=9)], keep=timedelta(seconds=-5))
    with account.http() as client:
        client.post("/v2/images/generations", json={"model": "failing-image", "prompt": "a hill"})
    assert TILE.findall(visitor(account.key).get("/dashboard/gallery").text) == [kept]


def test_filters_are_in_the_address_and_stay_there(house: House, visitor: Enter) -> None:
    account = house.create()
    other = house.another_key(account)
    days = [NOW - timedelta(days=number // 80) for number in range(240)]
    by = {
        "still": put(house, account, days, models=("still",), api_key_id=account.key_id),
        "clip": put(
            house, account, days[:70], models=("clip",), types=("video",), way_in="mcp", api_key_id=other.key_id
        ),
    }
    reader = visitor(account.key)

    def all_of(query: str) -> set[str]:
        return {each for page in paged(reader, f"/dashboard/gallery?{query}") for each in page}

    assert all_of("type=video") == set(by["clip"])
    assert all_of("model=still") == set(by["still"])
    assert all_of(f"key={other.key_id}") == set(by["clip"])
    assert all_of("way_in=mcp&type=image") == set()
    yesterday = (NOW - timedelta(days=1)).date()
    of_a_day = {each for each, at in zip(by["still"], days, strict=True) if at.date() == yesterday}
    assert all_of(f"from={yesterday}&to={yesterday}&model=still") == of_a_day
    on = link_in(reader.get(f"/dashboard/gallery?type=image&model=still&order=oldest&to={NOW.date()}").text, NEXT)
    assert on is not None
    given = parse_qs(urlsplit(on).query)
    assert {name: value[0] for name, value in given.items() if name != "after"} == {
        "workspace": account.workspace,
        "type": "image",
        "model": "still",
        "order": "oldest",
        "to": str(NOW.date()),
    }


def test_the_dates_lead_to_every_day_and_count_it(house: House, visitor: Enter) -> None:
    account = house.create()
    noon = NOW.replace(hour=12, minute=0) - timedelta(days=1)
    # Three times a day: in its first and its last millisecond, and at noon.
    times = [
        at - timedelta(days=day)
        for day in range(70)
        for at in (
            noon.replace(hour=0, second=0, microsecond=0),
            noon,
            noon.replace(hour=23, minute=59, second=59, microsecond=999_000),
        )
    ]
    ids = put(house, account, times, keep=timedelta(days=30))
    reader = visitor(account.key)
    text = reader.get("/dashboard/gallery").text
    rail = re.findall(r'<li><a href="([^"]+)" data-day="([^"]+)">[^<]*<span class="quiet">(\d+)</span>', text)
    assert [day for _, day, _ in rail] == [str((noon - timedelta(days=day)).date()) for day in range(70)]
    assert {count for _, _, count in rail} == {"3"}
    months = [int(count) for count in re.findall(r'<summary>\w{3} \d{4} <span class="quiet">(\d+)</span>', text)]
    assert sum(months) == 210
    href, day, _ = rail[40]
    shown = TILE.findall(reader.get(href.replace("&amp;", "&")).text)
    newest_of_it = max(each for each, at in zip(ids, times, strict=True) if str(at.date()) == day)
    assert shown[0] == newest_of_it
    assert TILE.findall(reader.get(f"/dashboard/gallery?before={first_id_at(datetime.fromtimestamp(0, UTC))}").text)[
        -1
    ] == min(ids)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("after=nothing", "after"),
        ("after=req-01ARZ3NDEKTSV4RRFFQ69G5FAV'", "after"),
        ("before=req-01", "before"),
        ("last=%00", "last"),
        ("type=audio", "type"),
        ("from=2026-13-01", "from"),
        ("from=2026-02-02&to=2026-02-01", "to"),
        ("key=x", "key"),
        ("way_in=door", "way_in"),
        ("order=best", "order"),
        ("after=req-01ARZ3NDEKTSV4RRFFQ69G5FAV&before=req-01ARZ3NDEKTSV4RRFFQ69G5FAV", "before"),
    ],
)
def test_what_no_link_says_is_refused_by_its_name(house: House, visitor: Enter, query: str, param: str) -> None:
    answer = visitor(house.create().key).get(f"/dashboard/gallery?{query}")
    assert answer.status_code == 400
    assert f", {param}" in answer.text


def test_dates_at_the_ends_of_the_calendar(house: House, visitor: Enter) -> None:
    account = house.create()
    (kept,) = put(house, account, [NOW])
    reader = visitor(account.key)
    assert TILE.findall(reader.get("/dashboard/gallery?from=0001-01-01&to=9999-12-31").text) == [kept]
    assert TILE.findall(reader.get("/dashboard/gallery?to=0001-01-01").text) == []


def test_anothers_are_not_there(house: House, visitor: Enter) -> None:
    mine, other = house.create(), house.create()
    (theirs,) = put(house, other, [NOW])
    (own,) = put(house, mine, [NOW])
    reader = visitor(mine.key)
    never = "req-01ARZ3NDEKTSV4RRFFQ69G5FAV"
    for path in ("gallery/{}", "jobs/{}/receipt.json"):
        answers = [reader.get(f"/dashboard/{path.format(each)}") for each in (theirs, never)]
        assert [each.status_code for each in answers] == [404, 404]
        assert answers[0].text.replace(theirs, "") == answers[1].text.replace(never, "")
    asked = reader.post("/dashboard/gallery/delete", data={"id": [own, theirs, never]})
    assert "Delete the media of 1 job?" in asked.text
    done = reader.post("/dashboard/gallery/delete/confirmed", data={"id": [own, theirs, never]})
    assert "1 deleted" in done.text
    assert "2 were not there" in done.text
    assert theirs not in done.text
    assert visitor(other.key).get(f"/dashboard/gallery/{theirs}").status_code == 200
    assert theirs in visitor(other.key).get("/dashboard/gallery").text
    assert theirs not in reader.get(f"/dashboard/gallery?key={other.key_id}").text


def test_deleting_says_how_many_leaves_receipts_and_lines(house: House, visitor: Enter) -> None:
    account = house.create()
    ids = put(house, account, [NOW - timedelta(minutes=number) for number in range(205)])
    reader = visitor(account.key)
    too_many = reader.post("/dashboard/gallery/delete/confirmed", data={"id": ids})
    assert too_many.status_code == 400
    assert "at most 200" in too_many.text
    nothing = reader.post("/dashboard/gallery/delete", data={"other": "x"})
    assert "Nothing is selected" in nothing.text
    asked = reader.post("/dashboard/gallery/delete", data={"id": ids[:200]})
    assert "Delete the media of 200 jobs?" in asked.text
    assert "cannot be undone" in asked.text
    assert house.run("select count(*) from media where deleted_at is not null and generation_id = any(%s)", ids) == [
        (0,)
    ]
    done = reader.post("/dashboard/gallery/delete/confirmed", data={"id": ids[:200]})
    assert "200 deleted" in done.text
    assert house.run("select count(*) from media where deleted_at is not null and generation_id = any(%s)", ids) == [
        (200,)
    ]
    lines = house.run(
        "select count(*) from audit_log where action = 'media.delete' and workspace_id = %s and target = any(%s)",
        house.workspace_id(account),
        ids[:200],
    )
    assert lines == [(200,)]
    receipt = reader.get(f"/dashboard/jobs/{ids[0]}/receipt.json")
    assert receipt.headers["content-disposition"] == f'attachment; filename="receipt-{ids[0]}.json"'
    assert receipt.json()["id"] == ids[0]
    assert receipt.json()["files"][0]["mime_type"] == "image/png"
    with account.http() as client:
        told = client.get(f"/v2/generations/{ids[0]}/receipt").json()["files"]
    assert [each["sha256"] for each in receipt.json()["files"]] == [each["sha256"] for each in told]
    page = reader.get(f"/dashboard/gallery/{ids[0]}")
    assert "The media and the prompt are deleted" in page.text
    assert "a hill" not in page.text
    again = reader.post("/dashboard/gallery/delete/confirmed", data={"id": ids[:2]})
    assert "0 deleted" in again.text
    assert "2 were not there" in again.text
    assert sorted(TILE.findall(reader.get("/dashboard/gallery").text)) == sorted(ids[200:])


def test_what_was_deleted_is_on_record_though_another_file_could_not_be(house: House, visitor: Enter) -> None:
    account = house.create()
    ids = put(house, account, [NOW - timedelta(days=7 * number + 400) for number in range(3)])
    ((key,),) = house.run("select key from media where generation_id = %s", ids[0])
    in_its_way = (house.server.data_dir / "media" / key).parent
    in_its_way.parent.mkdir(parents=True, exist_ok=True)
    in_its_way.symlink_to(in_its_way)
    done = visitor(account.key).post("/dashboard/gallery/delete/confirmed", data={"id": ids})
    in_its_way.unlink()
    assert done.status_code == 503
    lines = house.run("select target from audit_log where action = 'media.delete' and target = any(%s)", ids)
    gone = house.run("select generation_id from media where generation_id = any(%s) and deleted_at is not null", ids)
    assert sorted(lines) == sorted(gone) == sorted((each,) for each in ids[1:])


def test_who_may_only_read_is_shown_no_way_to_delete(house: House, visitor: Enter) -> None:
    account = house.create()
    (kept,) = put(house, account, [NOW])
    reader = visitor(house.key_with(account, "read").key)
    assert "gallery/delete" not in reader.get("/dashboard/gallery").text
    assert "gallery/delete" not in reader.get(f"/dashboard/gallery/{kept}").text
    for path in ("", "/confirmed"):
        assert reader.post(f"/dashboard/gallery/delete{path}", data={"id": kept}).status_code == 403
    assert visitor(account.key).get(f"/dashboard/gallery/{kept}").status_code == 200


def test_what_is_delivered_once_is_never_asked_for_by_a_page(house: House, visitor: Enter) -> None:
    account = house.create()
    with account.http() as client:
        made = client.post("/v2/images/generations", json={"model": "still", "prompt": "a hill", "store": False}).json()
        reader = visitor(account.key)
        file = made["data"][0]["url"].split("?")[0]
        page = reader.get(f"/dashboard/gallery/{made['id']}").text
        assert "delivered once" in page
        assert f'src="{file}?' not in page
        assert f'src="{file}/thumbnail?' in page
        assert f"{file}?" not in reader.get("/dashboard/gallery").text


def test_the_list_as_a_file(house: House, visitor: Enter) -> None:
    account = house.create()
    ids = put(house, account, [NOW - timedelta(seconds=number) for number in range(1203)], types=("image", "video"))
    house.run("update generations set request = jsonb_set(request, '{prompt}', '\"=1+1\"') where id = %s", max(ids))
    reader = visitor(account.key)
    answer = reader.get("/dashboard/gallery.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == sorted(ids, reverse=True)
    assert rows[0]["prompt"] == "'=1+1"
    assert rows[0]["cost_usd"] in ("0", "0.00")
    videos = json.loads(reader.get("/dashboard/gallery.json?type=video&order=oldest").text)
    assert [row["id"] for row in videos] == sorted(ids[1::2])
    assert videos[0]["duration_seconds"] == 5


def test_a_page_asked_for_again_ends_where_it_did(house: House, visitor: Enter) -> None:
    """What came since is on the first; what was deleted leaves no room for others."""
    account = house.create()
    ids = sorted(put(house, account, [NOW - timedelta(minutes=number) for number in range(130)]), reverse=True)
    reader = visitor(account.key)
    (come,) = put(house, account, [NOW + timedelta(minutes=1)])
    assert TILE.findall(reader.get(f"/dashboard/gallery?last={ids[59]}").text) == [come, *ids[:60]]
    reader.post("/dashboard/gallery/delete/confirmed", data={"id": [ids[70], ids[119]]})
    again = reader.get(f"/dashboard/gallery?after={ids[59]}&last={ids[119]}", headers={"hx-request": "true"}).text
    assert TILE.findall(again) == [each for each in ids[60:119] if each != ids[70]]
    assert "<html" not in again
