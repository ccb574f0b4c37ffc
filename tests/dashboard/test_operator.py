"""The operator's pages without a browser: money that is added once, limits, an end, and what stands in each list."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from safelight.domain.ids import new_ulid
from tests.contract.accounts import Account
from tests.dashboard.conftest import House, Visitor
from tests.support.server import eventually

WORKSPACES = "/dashboard/operator/workspaces"
LISTS = ("workspaces", "connections", "queue", "storage", "audit")


@pytest.fixture(scope="module")
def operator(house: House) -> Iterator[Visitor]:
    entered = Visitor(house.base_url, house.code())
    yield entered
    entered.close()


def money_of(house: House, name: str) -> list[tuple[int, str]]:
    """What a workspace was given, oldest first, in nano-dollars."""
    return [
        (int(amount), reason)
        for amount, reason in house.run(
            "select t.available_nanos, t.reason from transfers t join workspaces w on w.id = t.workspace_id"
            " where w.name = %s and t.kind = 'fund' order by t.id",
            name,
        )
    ]


def give(operator: Visitor, name: str, amount: str, **changes: str) -> httpx.Response:
    form = {"form_id": new_ulid(), "way": "add", "amount": amount, "reason": "a test"} | changes
    return operator.post(f"{WORKSPACES}/{name}/credit", data=form)


def problem_in(answer: httpx.Response) -> str:
    found = re.search(r'class="(?:notice bad" role="alert|problem" id="[\w-]+)">([^<]+)<', answer.text)
    assert found, answer.text
    return found[1]


def test_a_workspace_is_made_once(house: House, operator: Visitor) -> None:
    made = operator.post(WORKSPACES, data={"name": " made-by-hand "})
    assert made.status_code == 303 and made.headers["location"].startswith(f"{WORKSPACES}/made-by-hand?said=")
    again = operator.post(WORKSPACES, data={"name": "made-by-hand"})
    assert again.status_code == 400 and "There is a workspace" in again.text
    for name in ("", "No", "a b", "-x", "x" * 64, "ä"):
        assert operator.post(WORKSPACES, data={"name": name}).status_code == 400
    assert house.run("select count(*) from workspaces where name = 'made-by-hand'") == [(1,)]


def test_a_form_that_is_sent_twice_adds_once(house: House, operator: Visitor) -> None:
    name = house.create(credit="0").workspace
    page = operator.get(f"{WORKSPACES}/{name}").text
    form = re.search(r'name="form_id" value="(\w{26})"', page)
    assert form
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: give(operator, name, "0.123456789", form_id=form[1]), range(6)))
    assert {answer.status_code for answer in answers} == {303}
    said = sorted(answer.headers["location"].partition("said=")[2] for answer in answers)
    assert said == ["credit_added", *["credit_once"] * 5]
    assert money_of(house, name) == [(123_456_789, "a test")]
    assert give(operator, name, "7", form_id=form[1]).status_code == 409, "something else under the same form"
    assert give(operator, name, "0.123456789").status_code == 303, "another form is another addition"
    assert [amount for amount, _ in money_of(house, name)] == [123_456_789, 123_456_789]


@pytest.mark.parametrize(
    "amount", ["", "0", "-5", "+5", "1e3", "NaN", "Infinity", "1.0000000001", "9999999999", "1,000", "0x10", "٣"]
)
def test_what_is_no_amount_adds_nothing(house: House, operator: Visitor, amount: str) -> None:
    name = house.create(credit="1").workspace
    for way in ("add", "take"):
        answer = give(operator, name, amount, way=way, take_name=name)
        assert answer.status_code == 400, answer.text
        assert problem_in(answer)
    assert money_of(house, name) == [(10**9, "for a test")]


def test_credit_is_taken_back_where_the_name_is_typed_again(house: House, operator: Visitor) -> None:
    name = house.create(credit="10").workspace
    for typed in ("", "default", name.upper()):
        answer = give(operator, name, "3", way="take", take_name=typed)
        assert answer.status_code == 400 and "as it is written" in problem_in(answer)
    assert give(operator, name, "10.000000001", way="take", take_name=name).status_code == 400
    assert give(operator, name, "3", way="take", take_name=name, reason="a mistake").status_code == 303
    assert money_of(house, name) == [(10**10, "for a test"), (-3 * 10**9, "a mistake")]
    assert "$7.00" in operator.get(f"{WORKSPACES}/{name}").text
    assert give(operator, name, "1", reason="").status_code == 400, "it says what it is for"
    assert give(operator, name, "1", form_id="").status_code == 400, "a form has its name"


def test_limits_that_are_left_empty_are_the_settings(house: House, operator: Visitor) -> None:
    name = house.create(concurrency=3, image_rpm=20).workspace
    address = f"{WORKSPACES}/{name}/limits"

    def limits() -> tuple[object, ...]:
        return house.run("select image_rpm, video_rpm, concurrency from workspaces where name = %s", name)[0]

    for wrong in ("0", "-1", "1.5", "many", str(2**31)):
        answer = operator.post(address, data={"image_rpm": wrong, "video_rpm": "", "concurrency": ""})
        assert answer.status_code == 400 and "image_rpm" in problem_in(answer)
    assert limits() == (20, None, 3)
    assert operator.post(address, data={"image_rpm": "", "video_rpm": " 7 "}).status_code == 303
    assert limits() == (None, 7, None)
    assert "Empty: the setting, " in operator.get(f"{WORKSPACES}/{name}").text


def test_a_workspace_is_erased_where_its_name_is_typed_again(house: House, operator: Visitor) -> None:
    account = house.create()
    with account.http() as client:
        assert client.post("/v2/images/generations", json={"model": "still", "prompt": "a boat"}).status_code == 200
        under_way = client.post("/v2/videos/generations", json={"model": "endless-clip", "prompt": "a boat"}).json()
        address = f"{WORKSPACES}/{account.workspace}/erase"
        assert operator.post(address, data={"erase_name": "default"}).status_code == 400
        assert client.get("/v2/generations").status_code == 200, "nothing came of it"
        assert client.delete(f"/v2/videos/generations/{under_way['id']}").status_code in (200, 202)
        left = "select id from generations where finished_at is null and id = %s"
        eventually(lambda: not house.run(left, under_way["id"]), "it is canceled")
    assert operator.post(address, data={"erase_name": account.workspace}).status_code == 303
    assert operator.get(f"{WORKSPACES}/{account.workspace}").status_code == 404
    with account.http() as client:
        eventually(lambda: client.get("/v2/generations").status_code == 401, "its key is dead")
    left = "select id from workspaces where erased_up_to is not null"
    eventually(lambda: not house.run(left), "the upkeep erases what it had")
    assert money_of(house, account.workspace) == [], "nobody has this name"
    assert operator.post("/dashboard/operator/health/books").headers["location"].endswith("said=books_all_checked")
    assert house.run("select count(*) from audit_log where action = 'books.check' and workspace_id is null") != [(0,)]


def test_one_with_generations_under_way_is_not_erased(house: House, operator: Visitor) -> None:
    account = house.create()
    with account.http() as client:
        client.post("/v2/videos/generations", json={"model": "endless-clip", "prompt": "a boat"})
    answer = operator.post(f"{WORKSPACES}/{account.workspace}/erase", data={"erase_name": account.workspace})
    assert answer.status_code == 400 and "still under way" in problem_in(answer)
    assert operator.get(f"{WORKSPACES}/{account.workspace}").status_code == 200


@pytest.mark.parametrize("name", ["no-such", "erased-1", "NO", "a%00b"])
def test_a_workspace_that_is_not_there(operator: Visitor, name: str) -> None:
    assert operator.get(f"{WORKSPACES}/{name}").status_code == 404
    for what in ("credit", "limits", "erase"):
        form = {"erase_name": name, "amount": "1", "reason": "x", "form_id": "x"}
        assert operator.post(f"{WORKSPACES}/{name}/{what}", data=form).status_code == 404


def test_workspaces_are_found_and_sorted(house: House, operator: Visitor) -> None:
    poor, rich = house.create(credit="0.000000001"), house.create(credit="7000")
    with rich.http() as client:
        client.post("/v2/images/generations", json={"model": "still", "prompt": "a boat"})

    def names(query: str) -> list[str]:
        rows = csv.DictReader(io.StringIO(operator.get(f"{WORKSPACES}.csv{query}").text))
        return [row["name"] for row in rows]

    assert names(f"?search={poor.workspace}")[0] == poor.workspace
    by_balance = names("?sort=balance")
    assert by_balance.index(rich.workspace) < by_balance.index(poor.workspace)
    assert names("?search=no-such-name") == []
    assert operator.get(f"{WORKSPACES}?search=%00").status_code == 400
    assert operator.get(f"{WORKSPACES}?sort=none").status_code == 400
    row = next(each for each in operator.get(f"{WORKSPACES}.json").json() if each["name"] == rich.workspace)
    assert (row["available"], row["spent"]) == (6999.95, 0.05)
    page = operator.get(f"{WORKSPACES}?search={rich.workspace}").text
    assert "$6,999.95" in page and "$0.05" in page


def test_the_queue_tells_what_is_under_way(house: House, operator: Visitor) -> None:
    account = house.create()
    with account.http() as client:
        ids = [
            client.post("/v2/videos/generations", json={"model": "endless-clip", "prompt": "a boat"}).json()["id"]
            for _ in range(2)
        ]
    runs = "select id from generations where id = any(%s) and state = 'running'"
    eventually(lambda: len(house.run(runs, ids)) == 2, "they run")
    house.run("update generations set state = 'unknown' where id = %s", ids[0])
    house.run("update generations set deadline = now() - interval '1 minute' where id = %s", ids[1])

    def rows(query: str) -> dict[str, dict[str, str]]:
        found = operator.get(f"/dashboard/operator/queue.json?of={account.workspace}&{query}").json()
        return {row["id"]: row for row in found}

    assert set(rows("")) == set(ids)
    assert list(rows("show=unknown")) == [ids[0]] and list(rows("show=stuck")) == [ids[1]]
    assert "asked what became of it" in rows("")[ids[0]]["next_step"]
    assert "deadline passed" in rows("")[ids[1]]["next_step"]
    page = operator.get(f"/dashboard/operator/queue?of={account.workspace}").text
    assert f"/dashboard/jobs/{ids[0]}?workspace={account.workspace}" in page
    assert "past their deadline" in page and "run_generation" in page and "in hand" in page
    assert re.search(r"worker \d+ on ", page) and re.search(r"api \d+ on ", page)
    assert operator.get("/dashboard/operator/queue?show=all").status_code == 400


def test_a_deletion_that_is_overdue_is_shown(house: House, operator: Visitor) -> None:
    account = house.create()
    with account.http() as client:
        made = client.post("/v2/images/generations", json={"model": "still", "prompt": "a boat"}).json()["id"]
    # A worker begins a deletion anew after a minute.
    house.run(
        "update media set deletes_at = now() - interval '3 hours', tombstoned_at = now() where generation_id = %s", made
    )
    page = operator.get("/dashboard/operator/storage").text
    assert made in page and "should be gone" in page and "3 h" in page
    found = [row for row in operator.get("/dashboard/operator/storage.json").json() if row["generation_id"] == made]
    assert [row["workspace"] for row in found] == [account.workspace]
    assert "Until 20" in page and "Key of links k" in page
    tried = operator.post("/dashboard/operator/storage")
    assert tried.status_code == 200 and "wrote, read and deleted a file" in tried.text


def test_everything_that_a_running_system_needs_is_good(operator: Visitor) -> None:
    assert "Nothing was tried yet" in operator.get("/dashboard/operator/health").text
    page = operator.post("/dashboard/operator/health").text
    assert "are good" in page and "are wrong" not in page
    for name in ("data folder", "catalog", "provenance", "database", "clock", "work", "media store", "disk"):
        assert f'<th scope="row">{name}</th>' in page


def test_what_people_did_is_found_again(house: House, visitor: Callable[..., Visitor]) -> None:
    account = house.create(credit="1")
    operator = visitor(house.code())
    reader = visitor(account.key)
    assert give(operator, account.workspace, "2", reason="=1+1").status_code == 303
    operator.post(f"{WORKSPACES}/{account.workspace}/limits", data={"concurrency": "9"})
    operator.post("/dashboard/workspace", data={"workspace": account.workspace})
    reader.post("/dashboard/logout")

    def lines(query: str) -> list[tuple[str, str, str]]:
        found = operator.get(f"/dashboard/operator/audit.json?{query}").json()
        return [(row["action"], row["person"], row["address"]) for row in found]

    person = f"key {account.key_id} of {account.workspace}"
    assert lines(f"of={account.workspace}") == [
        ("session.end", person, "127.0.0.1"),
        ("workspace.look", "a test", "127.0.0.1"),
        ("workspace.limit", "a test", "127.0.0.1"),
        ("credit.add", "a test", "127.0.0.1"),
        ("session.begin", person, "127.0.0.1"),
    ]
    assert lines(f"person={person}&action=session.end") == [("session.end", person, "127.0.0.1")]
    today = house.run("select (now() at time zone 'UTC')::date::text")[0][0]
    assert len(lines(f"of={account.workspace}&first={today}&last={today}")) == 5
    assert lines(f"of={account.workspace}&last=2020-01-01") == []
    written = operator.get(f"/dashboard/operator/audit.csv?of={account.workspace}&action=credit.add").text
    (row,) = csv.DictReader(io.StringIO(written))
    assert json.loads(row["detail"]) == {"amount": "2.00", "reason": "=1+1"}
    for wrong in ("action=no", "first=tomorrow", "before=0", "before=x"):
        assert operator.get(f"/dashboard/operator/audit?{wrong}").status_code == 400


def test_the_log_goes_on_page_by_page(house: House, operator: Visitor) -> None:
    account = house.create(credit="0")
    for n in range(53):
        give(operator, account.workspace, "1", reason=f"no. {n}.")
    page = operator.get(f"/dashboard/operator/audit?of={account.workspace}").text
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older and "no. 52." in page and "no. 3." in page and "no. 2." not in page
    last = operator.get(older[1].replace("&amp;", "&")).text
    assert "no. 2." in last and "no. 0." in last and "no. 3." not in last and 'rel="next"' not in last


@pytest.mark.parametrize("name", LISTS)
def test_each_list_is_a_file_as_well(operator: Visitor, name: str) -> None:
    page = operator.get(f"/dashboard/operator/{name}").text
    for kind, media_type in (("csv", "text/csv"), ("json", "application/json")):
        answer = operator.get(f"/dashboard/operator/{name}.{kind}")
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(media_type)
        assert "attachment" in answer.headers["content-disposition"]
        assert f"/dashboard/operator/{name}.{kind}" in page or "Deletions overdue" in page


def test_words_of_backends_are_told(house: House, operator: Visitor) -> None:
    account: Account = house.create()
    with account.http() as client:
        client.post("/v2/images/generations", json={"model": "failing-image", "prompt": "a boat"})
    page = operator.get("/dashboard/operator/connections?connection=noop&span=hour").text
    assert "declined, permanent" in page and "as its options say" in page
    assert f"?workspace={account.workspace}" in page
    assert "There is no such connection" in operator.get("/dashboard/operator/connections?connection=no").text
    assert operator.get("/dashboard/operator/connections?span=week").status_code == 400


def test_a_connection_that_keeps_failing_is_left_alone(house: House, operator: Visitor) -> None:
    def page() -> str:
        return operator.get("/dashboard/operator/connections?connection=shaky").text

    assert "asked as usual" in page()
    with house.create().http() as client:
        for _ in range(6):
            body = {"model": "shaky-clip", "prompt": "a boat"}
            assert client.post("/v2/videos/generations", json=body).status_code == 202
    eventually(lambda: "left alone: it keeps failing" in page(), "its process tells of the breaker")
    assert "failures in a row" in page() and "worker " in page() and "transient" in page()
    assert "asked as usual" in operator.get("/dashboard/operator/connections?connection=builtin").text


def test_a_setting_that_is_broken_is_told_with_the_remedy(house: House, operator: Visitor) -> None:
    catalog = house.server.data_dir.parent / "catalog.toml"
    kept = catalog.read_text()
    catalog.write_text("[[models]\n")
    try:
        page = operator.post("/dashboard/operator/health").text
    finally:
        catalog.write_text(kept)
    assert "2 of 14 are wrong" in page and "Correct the file" in page  # the catalog, and the work that needs it
    assert "All 14 are good" in operator.post("/dashboard/operator/health").text
