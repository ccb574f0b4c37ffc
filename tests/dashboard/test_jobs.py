"""The list of jobs and that of refused requests: what each filter leaves, page after page, and whose they are."""

from __future__ import annotations

import csv
import html
import io
import random
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from safelight.domain.generations import GenerationType, State
from safelight.domain.ids import new_ulid
from safelight.domain.scope import WorkspaceScope
from safelight.lifecycle import job_views
from safelight.lifecycle.job_views import Job, JobFilter, list_jobs
from tests.contract.accounts import Account
from tests.dashboard.conftest import Enter, House
from tests.lifecycle.studio import Studio, open_studio
from tests.support.server import eventually, open_folder

ROW = re.compile(r'<tr id="(req-[0-9A-Z]{26})"')


class Made(msgspec.Struct, frozen=True):
    """A workspace with one job of each kind, by what it is; ``other_key`` asked for the drawn one."""

    account: Account
    other_key: Account
    ids: dict[str, str]


@pytest.fixture(scope="module")
def made(house: House) -> Made:
    account = house.create()
    other_key = house.another_key(account)
    ids: dict[str, str] = {}
    with account.http() as client, other_key.http() as other:
        ids["still"] = image(client, "still")
        ids["other"] = image(other, "still")
        openai = client.post("/v1/images/generations", json={"model": "slow-still", "prompt": "a hill"})
        assert openai.status_code == 200, openai.text
        client.post("/v2/images/generations", json={"model": "failing-image", "prompt": "a hill"})
        for model in ("clip", "endless-clip"):
            ids[model] = video(client, model)
        eventually(lambda: state_of(client, ids["clip"]) == "completed", "the clip")
        listed = client.get("/v2/generations?limit=100").json()["data"]
    for model, name in (("slow-still", "openai"), ("failing-image", "failed")):
        ids[name] = next(each["id"] for each in listed if each["model"] == model)
    return Made(account, other_key, ids)


def image(client: httpx.Client, model: str) -> str:
    return str(client.post("/v2/images/generations", json={"model": model, "prompt": "a hill"}).json()["id"])


def video(client: httpx.Client, model: str) -> str:
    body = {"model": model, "prompt": "a hill", "duration": 2}
    return str(client.post("/v2/videos/generations", json=body).json()["id"])


def state_of(client: httpx.Client, id_: str) -> str:
    return str(client.get(f"/v2/videos/generations/{id_}").json()["status"])


TODAY = datetime.now(UTC).date()
FILTERS = {
    "": {"still", "other", "openai", "failed", "clip", "endless-clip"},
    "state=completed": {"still", "other", "openai", "clip"},
    "state=failed": {"failed"},
    "state=canceled": set(),
    "state=under_way": {"endless-clip"},
    "state=failed&state=canceled": {"failed"},
    "state=failed,completed&type=image": {"still", "other", "openai", "failed"},
    "type=video": {"clip", "endless-clip"},
    "type=image&state=failed": {"failed"},
    "model=still": {"still", "other"},
    "model=no-such-model": set(),
    "way_in=openai": {"openai"},
    "way_in=mcp": set(),
    "key=none": set(),
    "dates=ended": {"still", "other", "openai", "failed", "clip", "endless-clip"},
    f"first={TODAY - timedelta(days=1)}&last={TODAY + timedelta(days=1)}": {
        "still",
        "other",
        "openai",
        "failed",
        "clip",
        "endless-clip",
    },
    f"last={TODAY - timedelta(days=2)}": set(),
    f"first={TODAY + timedelta(days=2)}": set(),
    f"dates=ended&first={TODAY - timedelta(days=1)}&last={TODAY + timedelta(days=1)}": {
        "still",
        "other",
        "openai",
        "failed",
        "clip",
    },
}


@pytest.mark.parametrize("query", FILTERS)
def test_each_filter_leaves_what_is_so(made: Made, visitor: Enter, query: str) -> None:
    page = visitor(made.account.key).get(f"/dashboard/jobs?{query}")
    assert page.status_code == 200
    assert ROW.findall(page.text) == sorted((made.ids[name] for name in FILTERS[query]), reverse=True)


def test_by_key(made: Made, visitor: Enter) -> None:
    page = visitor(made.account.key).get("/dashboard/jobs", params={"key": made.other_key.key_id})
    assert ROW.findall(page.text) == [made.ids["other"]]


def test_a_line_tells_what_it_cost_or_holds_and_why_it_failed(made: Made, visitor: Enter) -> None:
    text = visitor(made.account.key).get("/dashboard/jobs").text
    lines = {id_: text[text.index(f'<tr id="{id_}"') :].split("</tr>")[0] for id_ in made.ids.values()}
    assert "$0.05" in lines[made.ids["still"]]
    assert "$0.20 <span" in lines[made.ids["endless-clip"]]
    assert ">held<" in lines[made.ids["endless-clip"]]
    assert "generation_failed" in lines[made.ids["failed"]]
    assert "$0.00" in lines[made.ids["failed"]]
    assert "OpenAI" in lines[made.ids["openai"]]
    assert [id_ for id_, line in lines.items() if "data-live" in line] == [made.ids["endless-clip"]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=lost", "state &#39;lost&#39; is not one of"),
        ("type=sound", "type &#39;sound&#39; is not one of"),
        ("way_in=fax", "way_in &#39;fax&#39; is not one of"),
        ("first=yesterday", "Write it as 2026-01-31."),
        ("first=2026-02-01&last=2026-01-01", "The last date is before the first."),
        ("last=9999-12-31", "No date comes after this one."),
        ("key=999999999", "There is no key &#39;999999999&#39; in this workspace."),
        ("key=x", "There is no key &#39;x&#39; in this workspace."),
        ("before=yesterday", "before is not an id."),
        ("state=failed,lost", "state &#39;lost&#39; is not one of"),
        ("type=image&type=video", "type is given twice."),
        ("dates=never", "dates &#39;never&#39; is not one of"),
    ],
)
def test_what_cannot_be_is_told_on_the_page(made: Made, visitor: Enter, query: str, said: str) -> None:
    page = visitor(made.account.key).get(f"/dashboard/jobs?{query}")
    assert page.status_code == 400
    assert said in page.text
    assert not ROW.findall(page.text)


def test_another_workspaces_key_is_none_of_this_one(house: House, made: Made, visitor: Enter) -> None:
    page = visitor(house.create().key).get("/dashboard/jobs", params={"key": made.account.key_id})
    assert page.status_code == 400


def test_pages_go_on_over_jobs_of_one_moment(house: House, visitor: Enter) -> None:
    account = house.create()
    at = int(datetime.now(UTC).timestamp() * 1000)
    names = [f"req-{new_ulid(at)}" for _ in range(120)]
    plant(house, account, names)
    reader, found, address = visitor(account.key), [], "/dashboard/jobs"
    for _ in range(3):
        text = reader.get(address).text
        found += ROW.findall(text)
        older = re.search(r'rel="next" href="([^"]+)"', text)
        if older is None:
            break
        address = html.unescape(older[1])
    assert found == sorted(names, reverse=True)


def plant(house: House, account: Account, names: list[str]) -> None:
    house.run(
        """
        insert into generations (id, workspace_id, api_key_id, type, model, body_sha256, billable_unit,
            unit_price_nanos, quantity, held_nanos, charged_nanos, charged_thousandths, state, deadline,
            retention_seconds, error_code, finished_at)
        select id, (select workspace_id from api_keys where id = %(key)s), %(key)s, 'image', 'still',
            sha256(id::bytea), 'image', 1, 1, 0, 0, 0, 'failed', now(), 60, 'generation_failed', now()
        from unnest(%(names)s::text[]) as made (id)
        """.replace("%(key)s", str(account.key_id)).replace("%(names)s", "%s"),
        names,
    )


def test_files_have_the_filters_of_the_page(house: House, made: Made, visitor: Enter) -> None:
    reader = visitor(made.account.key)
    house.run("update api_keys set name = '=1+1' where id = %s", made.other_key.key_id)
    file = reader.get("/dashboard/jobs.csv?model=still")
    assert file.headers["content-disposition"].startswith('attachment; filename="jobs-')
    lines = {line["id"]: line for line in csv.DictReader(io.StringIO(file.text))}
    assert set(lines) == {made.ids["still"], made.ids["other"]}
    assert lines[made.ids["other"]]["key"].startswith("'=1+1"), "a spreadsheet computes nothing"
    assert (lines[made.ids["still"]]["cost"], lines[made.ids["still"]]["way_in"]) == ("0.05", "v2")
    items = reader.get("/dashboard/jobs.json?state=under_way").json()
    assert [(each["id"], each["held"], each["cost"]) for each in items] == [(made.ids["endless-clip"], 0.2, None)]
    assert reader.get("/dashboard/jobs.csv?state=lost").status_code == 400
    assert reader.get("/dashboard/jobs.xls").status_code == 404


def test_an_operator_looks_at_one_workspace_at_a_time(house: House, made: Made, visitor: Enter) -> None:
    operator = visitor(house.code())
    page = operator.get("/dashboard/jobs", params={"workspace": made.account.workspace, "state": "failed"})
    assert ROW.findall(page.text) == [made.ids["failed"]]
    assert f"/dashboard/jobs/{made.ids['failed']}?workspace={made.account.workspace}" in page.text
    assert not ROW.findall(operator.get("/dashboard/jobs", params={"workspace": house.create().workspace}).text)


def test_what_a_person_was_refused_is_without_a_key(house: House, visitor: Enter) -> None:
    account = house.create()
    house.run(
        "insert into refused_requests (workspace_id, way_in, type, model, reason, message, count) "
        "select id, 'dashboard', 'image', 'still', 'quota_exceeded', 'no', 2 from workspaces where name = %s",
        account.workspace,
    )
    house.run(
        "insert into daily_refusals (workspace_id, date, type, model, reason, count) select id, "
        "(now() at time zone 'UTC')::date, 'image', 'still', 'quota_exceeded', 2 from workspaces where name = %s",
        account.workspace,
    )
    reader = visitor(account.key)
    for key, found in (("none", 2), (account.key_id, 0)):
        assert f'<strong id="total">{found}</strong>' in reader.get(f"/dashboard/jobs/refused?key={key}").text
        lines = reader.get(f"/dashboard/jobs/refused.json?key={key}").json()
        assert sum(each["count"] for each in lines) == found


def test_refused_requests_are_counted_and_told(house: House, visitor: Enter) -> None:
    account = house.create(credit="0.12", image_rpm=3)
    with account.http() as client:
        body = {"model": "still", "prompt": "a hill"}
        answers = [client.post("/v2/images/generations", json=body).status_code for _ in range(5)]
        openai = client.post("/v1/videos", json={"model": "clip", "prompt": "a hill", "seconds": "5"})
    assert answers == [200, 200, 402, 402, 402]
    assert openai.status_code in (402, 429)
    workspace = "(select id from workspaces where name = %s)"

    def counts(table: str) -> dict[str, int]:
        rows = house.run(
            f"select reason, sum(count) from {table} where workspace_id = {workspace} group by 1", account.workspace
        )
        return {str(reason): int(count) for reason, count in rows}

    eventually(lambda: sum(counts("daily_refusals").values()) == 4, "the refusals are on record")
    reader = visitor(account.key)
    text = reader.get("/dashboard/jobs/refused").text
    assert '<strong id="total">4</strong> requests were refused' in text
    assert "were never accepted: nothing was held, made or charged." in text
    assert counts("daily_refusals") == counts("refused_requests")
    for reason, count in counts("daily_refusals").items():
        assert f"{reason} {count}" in text
    lines = reader.get("/dashboard/jobs/refused.json").json()
    assert sum(each["count"] for each in lines) == 4
    assert {each["way_in"] for each in lines} == {"v2", "openai"}
    only = reader.get("/dashboard/jobs/refused.json?way_in=openai").json()
    assert [(each["model"], each["count"]) for each in only] == [("clip", 1)]
    for query in ("reason=quota_exceeded&type=image", "model=still", f"key={account.key_id}&type=image"):
        assert '<strong id="total">3</strong>' in reader.get(f"/dashboard/jobs/refused?{query}").text
    assert house.traces(account) == (2, 5), "credit, two holds, two ends"
    other = visitor(house.create().key).get("/dashboard/jobs/refused").text
    assert '<strong id="total">0</strong>' in other
    led = reader.get(f"/dashboard/jobs?state=refused&reason=quota_exceeded&key={account.key_id}")
    assert led.headers["location"] == f"/dashboard/jobs/refused?reason=quota_exceeded&key={account.key_id}"
    for wrong in ("reason=mood", "before=x", "first=2020-01-01&last=2026-01-01", "key=1"):
        assert reader.get(f"/dashboard/jobs/refused?{wrong}").status_code == 400


@pytest.fixture(scope="module")
async def studio(database_url: str) -> AsyncIterator[Studio]:
    with open_folder() as folder:
        async with open_studio(database_url, Path(folder)) as opened:
            yield opened


def is_like(job: Job, which: JobFilter) -> bool:
    at = job.finished_at if which.by_end else job.created_at
    return (
        job.type in which.types
        and job.state in which.states
        and which.model in (None, job.model)
        and which.way_in in (None, job.way_in)
        and which.key_id in (None, job.api_key_id or 0)
        and (which.since is None or (at is not None and at >= which.since))
        and (which.until is None or (at is not None and at < which.until))
    )


async def test_random_filters_leave_what_is_so_page_after_page(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a page looks at no more than some of the jobs, and finds nothing among them."""
    monkeypatch.setattr(job_views, "MOST_WALKED", 25)
    dice = random.Random(7)
    sender = await studio.workspace()
    now = datetime.now(UTC)
    for _ in range(300):
        at = now - timedelta(hours=dice.randrange(200))
        ended = at + timedelta(hours=dice.randrange(1, 30))
        is_open = dice.random() < 0.2
        await studio.rows(
            """
            insert into generations (id, workspace_id, api_key_id, type, model, body_sha256, billable_unit,
                unit_price_nanos, quantity, held_nanos, charged_nanos, charged_thousandths, state, deadline,
                retention_seconds, error_code, finished_at, created_at, way_in)
            values (%s, %s, %s, %s, %s, '', 'image', 1, 1, 1, %s, %s, %s, now(), 60, %s, %s, %s, %s)
            """,
            f"req-{new_ulid(int(at.timestamp() * 1000))}",
            sender.workspace_id,
            dice.choice([sender.key_id, None]),
            dice.choice(["image", "video"]),
            f"model-{dice.randrange(4)}",
            *((None, None, "queued", None, None) if is_open else (0, 0, "failed", "generation_failed", ended)),
            at,
            dice.choice(["v2", "mcp", None]),
        )
    scope = WorkspaceScope(sender.workspace_id)
    every = (await list_jobs(scope, studio.db, JobFilter(), limit=1000)).jobs
    assert len(every) == 300
    for _ in range(60):
        since = now - timedelta(hours=dice.randrange(220))
        which = JobFilter(
            types=dice.choice([tuple(GenerationType), (GenerationType.VIDEO,)]),
            states=dice.choice([tuple(State), (State.FAILED,), (State.QUEUED, State.RUNNING)]),
            model=dice.choice([None, "model-1", "no-model"]),
            key_id=dice.choice([None, 0, sender.key_id]),
            way_in=dice.choice([None, "mcp"]),
            since=dice.choice([None, since]),
            until=dice.choice([None, since + timedelta(hours=dice.randrange(1, 100))]),
            by_end=dice.random() < 0.5,
        )
        found: list[Job] = []
        before = None
        for _ in range(100):
            page = await list_jobs(scope, studio.db, which, before=before, limit=7)
            assert len(page.jobs) <= 7
            found += page.jobs
            before = page.older
            if before is None:
                break
        assert before is None
        assert [each.id for each in found] == [each.id for each in every if is_like(each, which)], which
