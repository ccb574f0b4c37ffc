"""Refused requests are counted, and told; a flood of them is no flood of writes, and none is lost at a close."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from safelight.accounts.usage import list_refused
from safelight.db.pool import Database
from safelight.domain.errors import (
    ContentPolicyViolation,
    GenerationFailed,
    InvalidParameter,
    QuotaExceeded,
    RateLimited,
    SafelightError,
    ServiceUnavailable,
)
from safelight.domain.generations import GenerationType
from safelight.domain.request import Request
from safelight.domain.scope import OPERATOR, Principal
from safelight.keeping.expire import expire_sessions
from safelight.lifecycle import refusals
from safelight.lifecycle.refusals import Refusals, expire_refused
from tests.lifecycle.studio import Studio, open_studio

pytestmark = pytest.mark.database

COUNTS = "select type::text, model, api_key_id, reason, count, date from daily_refusals where workspace_id = %s"
IMAGE = Request(type=GenerationType.IMAGE, model="still", prompt="a hill")


async def counted(studio: Studio, sender: Principal) -> dict[str, int]:
    """What is on record for a workspace, by reason, each row checked to be of its key and of today."""
    rows = await studio.rows(COUNTS, sender.workspace_id)
    today = datetime.now(UTC).date()
    assert {(row[0], row[1], row[2]) for row in rows} <= {("image", "still", sender.key_id)}
    assert all(0 <= (today - row[5]).days <= 1 for row in rows)
    return {row[3]: row[4] for row in rows}


async def until_counted(studio: Studio, sender: Principal, counts: dict[str, int]) -> None:
    async with asyncio.timeout(60):
        while await counted(studio, sender) != counts:
            await asyncio.sleep(0.05)


async def refused(studio: Studio, sender: Principal, error: type[SafelightError], **fields: Any) -> None:
    with pytest.raises(error):
        await studio.make(sender, **fields)


async def test_each_reason_is_counted_for_its_own_workspace(studio: Studio) -> None:
    poor, busy = await studio.workspace("0.01"), await studio.workspace(image_rpm=1)
    for _ in range(2):
        await refused(studio, poor, QuotaExceeded)
    await refused(studio, poor, ContentPolicyViolation, prompt="a forbidden hill")
    await refused(studio, busy, ContentPolicyViolation, prompt="a forbidden hill")
    for _ in range(3):
        await studio.rows(  # so that no minute ends in between
            "update accounts set image_window_start = date_trunc('minute', now()), image_window_used = 1 "
            "where workspace_id = %s",
            busy.workspace_id,
        )
        await refused(studio, busy, RateLimited)
    await until_counted(studio, poor, {"quota_exceeded": 2, "content_policy_violation": 1})
    await until_counted(studio, busy, {"rate_limit": 3, "content_policy_violation": 1})
    await refused(studio, poor, QuotaExceeded)
    await until_counted(studio, poor, {"quota_exceeded": 3, "content_policy_violation": 1})


async def test_what_is_wrong_with_a_request_is_no_refusal(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = await studio.workspace("0.01")
    noted: list[SafelightError] = []
    monkeypatch.setattr(Refusals, "count", lambda self, sender, request, refusal, way_in: noted.append(refusal))
    await refused(studio, sender, InvalidParameter, model="no-such-model")
    await refused(studio, sender, InvalidParameter, model="no-such-model", prompt="forbidden")
    await refused(studio, sender, InvalidParameter, resolution="9K")
    made = await studio.make(await studio.workspace(), model="still-refused")
    assert isinstance(made.error, ContentPolicyViolation)  # by the backend, once it was accepted
    assert noted == []
    await refused(studio, sender, QuotaExceeded)
    assert [type(each) for each in noted] == [QuotaExceeded]


class Counting(Database):
    """A database that notes what is written to it, and may be away."""

    def __init__(self, url: str) -> None:
        super().__init__(url, pool_size=1)
        self.writes: list[dict[str, Any]] = []
        self.is_away = False

    async def run(self, name: str, params: Any) -> int:
        self.writes.append(dict(params))
        if self.is_away:
            raise ServiceUnavailable
        return await super().run(name, params)


@pytest.fixture
async def counting(database_url: str) -> Any:
    db = Counting(database_url)
    await db.open()
    yield db
    await db.close()


async def test_a_flood_is_written_once_a_second(studio: Studio, counting: Counting) -> None:
    one, other = await studio.workspace(), await studio.workspace()
    written = Refusals(counting)
    began = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() - began < 2.5:
        for _ in range(100):
            written.count(one, IMAGE, RateLimited())
            written.count(other, IMAGE, QuotaExceeded())
        await asyncio.sleep(0.01)
    await written.close()
    assert 2 <= len(counting.writes) <= 4
    total = sum(sum(write["count"]) for write in counting.writes) // 2
    assert total >= 1000
    assert await counted(studio, one) == {"rate_limit": total}
    assert await counted(studio, other) == {"quota_exceeded": total}


async def test_it_goes_on_when_the_database_was_away(
    studio: Studio, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_PAUSE_SECONDS", 0.05)
    sender = await studio.workspace()
    written = Refusals(counting)
    counting.is_away = True
    written.count(sender, IMAGE, RateLimited())
    async with asyncio.timeout(30):
        while len(counting.writes) < 3:
            written.count(sender, IMAGE, RateLimited())
            await asyncio.sleep(0.01)
    said = sum(counting.writes[-1]["count"])
    counting.is_away = False
    async with asyncio.timeout(30):
        while not (found := await counted(studio, sender)):
            await asyncio.sleep(0.05)
    assert found["rate_limit"] >= said
    written.count(sender, IMAGE, RateLimited())
    await until_counted(studio, sender, {"rate_limit": found["rate_limit"] + 1})


async def test_memory_is_bounded_while_the_database_is_away(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(refusals, "_MOST_ROWS", 50)
    counting.is_away = True
    written = Refusals(counting)
    for number in range(300):
        sender = Principal(key_id=number, workspace_id=number, is_capped=False)
        written.count(sender, IMAGE, RateLimited())
        written.count(Principal(key_id=0, workspace_id=0, is_capped=False), IMAGE, RateLimited())
        await asyncio.sleep(0.001)
    await written.close()
    assert max(len(write["count"]) for write in counting.writes) == 50
    assert max(counting.writes[-1]["count"]) == 301  # of those that have a row, none is lost


async def test_a_close_writes_what_is_left_at_once(database_url: str, tmp_path: Path) -> None:
    async with open_studio(database_url, tmp_path) as closing:
        sender = await closing.workspace("0.01")
        await refused(closing, sender, QuotaExceeded)
        began = asyncio.get_running_loop().time()
        await closing.parts.submitting.refusals.close()
        assert asyncio.get_running_loop().time() - began < refusals._PAUSE_SECONDS
        assert await counted(closing, sender) == {"quota_exceeded": 1}


async def test_a_close_does_not_wait_for_a_database_that_is_away(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting.is_away = True
    written = Refusals(counting)
    written.count(Principal(key_id=1, workspace_id=1, is_capped=False), IMAGE, RateLimited())
    await written.close()
    assert len(counting.writes) == 1

    async def hang(name: str, params: Any) -> int:
        await asyncio.sleep(3600)
        return 0

    monkeypatch.setattr(counting, "run", hang)
    monkeypatch.setattr(refusals, "_CLOSING_SECONDS", 0.1)
    stuck = Refusals(counting)
    stuck.count(Principal(key_id=1, workspace_id=1, is_capped=False), IMAGE, RateLimited())
    async with asyncio.timeout(30):
        await stuck.close()


async def test_a_row_that_cannot_be_written_does_not_stop_the_next(studio: Studio, counting: Counting) -> None:
    sender = await studio.workspace()
    written = Refusals(counting)
    written.count(Principal(key_id=2**40, workspace_id=2**40, is_capped=False), IMAGE, RateLimited())
    async with asyncio.timeout(30):
        while not counting.writes:
            await asyncio.sleep(0.02)
    written.count(sender, IMAGE, GenerationFailed())
    await written.close()
    assert await counted(studio, sender) == {"generation_failed": 1}


# The requests behind the counts

DAYS = {"first": datetime(2026, 1, 1, tzinfo=UTC).date(), "last": datetime(2100, 1, 1, tzinfo=UTC).date()}


async def test_a_refused_request_is_told_with_why_and_without_what_was_asked(database_url: str, tmp_path: Path) -> None:
    async with open_studio(database_url, tmp_path) as studio:
        sender, other = await studio.workspace("0.01"), await studio.workspace("0.01")
        await refused(studio, sender, ContentPolicyViolation, prompt="a forbidden canary")
        for _ in range(2):
            await refused(studio, sender, QuotaExceeded, prompt="a canary")
        await refused(studio, other, QuotaExceeded, prompt="a canary")
        await studio.parts.submitting.refusals.close()
        newest, oldest = sorted(
            await list_refused(sender.scope, studio.db, **DAYS), key=lambda each: each.reason, reverse=True
        )
        assert (newest.reason, newest.param, newest.count) == ("quota_exceeded", None, 2)
        assert (oldest.reason, oldest.param, oldest.count) == ("content_policy_violation", "prompt", 1)
        assert "category: forbidden" in oldest.message
        for each in (newest, oldest):
            assert (each.type, each.model, each.api_key_id, each.way_in) == ("image", "still", sender.key_id, None)
        rows = await studio.rows("select r::text from refused_requests r where workspace_id = %s", sender.workspace_id)
        assert len(rows) == 2 and "canary" not in str(rows)


async def test_pages_and_filters_of_what_was_refused(studio: Studio) -> None:
    sender, other = await studio.workspace(), await studio.workspace()
    for way_in, message in (("v2", "a"), ("v2", "b"), ("mcp", "c"), (None, "d")):
        written = Refusals(studio.db)
        written.count(sender, IMAGE, RateLimited(message), way_in=way_in)
        written.count(other, IMAGE, RateLimited(message), way_in=way_in)
        await written.close()

    async def page(**asked: Any) -> str:
        return "".join(each.message for each in await list_refused(sender.scope, studio.db, **{**DAYS, **asked}))

    assert await page() == "dcba"
    first = await list_refused(sender.scope, studio.db, **DAYS, limit=2)
    assert await page(before=first[-1].id, limit=2) == "ba"
    assert (await page(way_in="v2"), await page(way_in="mcp"), await page(way_in="openai")) == ("ba", "c", "")
    assert (await page(type_="image"), await page(type_="video"), await page(type_="nothing")) == ("dcba", "", "")
    assert (await page(model="still"), await page(reason="rate_limit")) == ("dcba", "dcba")
    assert (await page(api_key_id=sender.key_id), await page(api_key_id=other.key_id)) == ("dcba", "")
    of_all = [each for each in await list_refused(OPERATOR, studio.db, **DAYS, limit=8) if each.message in "abcd"]
    assert sorted(each.message for each in of_all) == list("aabbccdd")
    today = datetime.now(UTC).date()
    assert await page(first=today - timedelta(days=1), last=today) == "dcba"
    assert await page(first=today + timedelta(days=2), last=today + timedelta(days=3)) == ""
    with pytest.raises(InvalidParameter, match="before the first"):
        await page(first=today, last=today - timedelta(days=1))


async def test_a_flood_is_a_row_and_other_words_are_bounded(
    studio: Studio, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_MOST_REQUESTS", 10)
    one, other = await studio.workspace(), await studio.workspace()
    written = Refusals(counting)
    for number in range(1000):
        written.count(one, IMAGE, RateLimited("Wait."))
        written.count(one, IMAGE, ContentPolicyViolation(f"{number} \0 " + "long " * 1000))
    written.count(other, IMAGE, RateLimited("Wait."))
    await written.close()
    rows = await list_refused(one.scope, studio.db, **DAYS)
    assert len(rows) == 10
    assert [row.count for row in rows if row.reason == "rate_limit"] == [1000]
    assert max(len(row.message) for row in rows) == 500
    assert await counted(studio, one) == {"rate_limit": 1000, "content_policy_violation": 1000}
    assert [row.count for row in await list_refused(other.scope, studio.db, **DAYS)] == [1]


async def test_requests_are_written_once_the_database_is_back(
    studio: Studio, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "_PAUSE_SECONDS", 0.01)
    sender = await studio.workspace()
    written = Refusals(counting)
    counting.is_away = True
    for _ in range(3):
        written.count(sender, IMAGE, RateLimited("Wait."))
    async with asyncio.timeout(30):
        while not counting.writes:
            await asyncio.sleep(0.01)
        counting.is_away = False
        while not (rows := await list_refused(sender.scope, studio.db, **DAYS)):
            await asyncio.sleep(0.02)
    assert [row.count for row in rows] == [3]
    await written.close()


async def test_an_erased_workspace_gets_no_more_of_them(studio: Studio) -> None:
    sender = await studio.workspace()
    await studio.db.one("begin_erasure", {"workspace_id": sender.workspace_id}, tuple)
    written = Refusals(studio.db)
    written.count(sender, IMAGE, RateLimited())
    await written.close()
    assert await list_refused(sender.scope, studio.db, **DAYS) == []
    assert await counted(studio, sender) == {"rate_limit": 1}


async def test_what_is_old_or_over_is_forgotten_batch_by_batch(studio: Studio) -> None:
    sender = await studio.workspace()
    await studio.rows(
        "insert into refused_requests (at, workspace_id, type, model, reason, message, count)"
        " select now() - interval '30 d' + i * interval '1 h', %s, 'image', 'still', 'rate_limit', i::text, 1"
        " from generate_series(-1100, 3) i where i <> 0",
        sender.workspace_id,
    )
    for table in ("dashboard_sessions", "login_links"):
        agent = ("user_agent, ", "'', ") if table == "dashboard_sessions" else ("", "")
        await studio.rows(
            f"insert into {table} (sha256, workspace_id, person, role, {agent[0]}expires_at)"
            f" select sha256(i::text::bytea), %s, 'ann', 'admin', {agent[1]}now() + i * interval '1 h'"
            " from generate_series(-1100, 3) i where i <> 0",
            sender.workspace_id,
        )
    assert [await expire_refused(studio.db) for _ in range(3)] == [1000, 100, 0]
    await expire_sessions(studio.parts.keeping)
    left = [row.message for row in await list_refused(sender.scope, studio.db, **DAYS)]
    assert left == ["3", "2", "1"]
    for table in ("dashboard_sessions", "login_links"):
        kept = await studio.rows(f"select count(*) from {table} where workspace_id = %s", sender.workspace_id)
        assert kept == [(3,)]
