"""What was used and what was refused: counted in the commit that ends a generation, and told by the command."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from safelight.accounts.usage import Usage, list_refusals, list_usage
from safelight.domain.errors import InvalidParameter
from safelight.domain.scope import OPERATOR
from tests.money.shop import IMAGE, VIDEO, Shop
from tests.support.postgres import open_database
from tests.support.server import safelight
from tests.support.tenants import Tenant, make_tenant, make_tenant_at

TODAY = datetime.now(UTC).date()  # the day this began: for what is planted and read by its date
READS: tuple[Callable[..., Awaitable[list[Any]]], ...] = (list_usage, list_refusals)


async def test_every_end_is_counted_under_its_model_and_its_key(client: httpx.AsyncClient, shop: Shop) -> None:
    one = await shop.customer()
    two = await shop.sibling(one)
    began = datetime.now(UTC).date()
    for customer, kind, body in (
        (one, "images", IMAGE),
        (one, "images", {**IMAGE, "resolution": "2K"}),
        (two, "images", IMAGE),
        (two, "images", {**IMAGE, "model": "still-refused"}),
        (two, "videos", {**VIDEO, "model": "clip-short"}),
    ):
        await client.post(f"/v2/{kind}/generations", headers=customer.headers, json=body)
    await shop.settled(one)
    ended = datetime.now(UTC).date()
    rows = await list_usage(one.scope, shop.db, began, ended)
    used = {(row.type, row.model, row.api_key_id): counted(row) for row in rows}
    assert used == {
        ("image", "still", one.key_id): (2, 0, 2000, 130_000_000),
        ("image", "still", two.key_id): (1, 0, 1000, 50_000_000),
        ("image", "still-refused", two.key_id): (0, 1, 0, 0),
        ("video", "clip-short", two.key_id): (1, 0, 3000, 300_000_000),
    }
    assert {row.workspace for row in rows} == {one.name}
    assert rows == [row for row in await list_usage(OPERATOR, shop.db, began, ended) if row.workspace == one.name]


def counted(row: Usage) -> tuple[int, int, int, int]:
    return row.completed, row.failed, row.charged_thousandths, row.cost_nanos


@pytest.mark.database
async def test_both_ends_of_the_range_are_included_and_the_newest_comes_first(fresh_database_url: str) -> None:
    async with open_database(fresh_database_url) as db:
        tenant = await make_tenant(db, "studio")
        for day in range(4):
            plant(fresh_database_url, tenant, TODAY - timedelta(days=day))
        first, last = TODAY - timedelta(days=2), TODAY - timedelta(days=1)
        for read in READS:
            assert [row.date for row in await read(tenant.scope, db, first, last)] == [last, first]
            with pytest.raises(InvalidParameter, match="before the first"):
                await read(tenant.scope, db, last, first)


def plant(url: str, tenant: Tenant, day: date, *, key_id: int | None = None) -> None:
    """A video of 2.5 seconds and a refusal, on that day."""
    facts = {"workspace": tenant.id, "date": day, "key": key_id}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into daily_usage (workspace_id, date, type, model, api_key_id, completed, charged_thousandths,"
            " cost_nanos, failed) values (%(workspace)s, %(date)s, 'video', 'clip', %(key)s, 1, 2500, 250000000, 2)",
            facts,
        )
        connection.execute(
            "insert into daily_refusals (workspace_id, date, type, model, api_key_id, reason, count)"
            " values (%(workspace)s, %(date)s, 'image', 'still', %(key)s, 'quota_exceeded', 7)",
            facts,
        )


def usage(url: str, *arguments: str) -> str:
    done = safelight("usage", *arguments, env={"SAFELIGHT_DATABASE_URL": url})
    assert done.returncode == 0, done.stderr
    return done.stdout


def usage_json(url: str, *arguments: str) -> Any:
    return json.loads(usage(url, "--json", *arguments))


def a_day_that_stays() -> date:
    """Today, where the next minute is of today too: the command counts its days back from its own clock."""
    left = datetime.combine(datetime.now(UTC).date() + timedelta(days=1), datetime.min.time(), UTC) - datetime.now(UTC)
    if left < timedelta(minutes=1):
        time.sleep(left.total_seconds() + 1)
    return datetime.now(UTC).date()


@pytest.mark.database
def test_the_command_tells_what_was_used_and_what_was_refused(fresh_database_url: str) -> None:
    url, today = fresh_database_url, a_day_that_stays()
    studio, other = make_tenant_at(url, "studio"), make_tenant_at(url, "other")
    assert usage(url).count("Nothing.") == 2
    plant(url, studio, today, key_id=studio.key_id)
    plant(url, studio, today - timedelta(days=29))
    plant(url, studio, today - timedelta(days=30))
    plant(url, other, today)

    told = usage_json(url, "--workspace", "studio")
    assert [row["date"] for row in told["used"]] == [str(today), str(today - timedelta(days=29))]
    assert told["used"][0] == {
        "date": str(today),
        "workspace": "studio",
        "type": "video",
        "model": "clip",
        "key": studio.key_id,
        "completed": 1,
        "failed": 2,
        "quantity": "2.5",
        "cost": "0.25",
    }
    assert told["used"][1]["key"] is None
    assert told["refused"][0] == {
        "date": str(today),
        "workspace": "studio",
        "type": "image",
        "model": "still",
        "key": studio.key_id,
        "reason": "quota_exceeded",
        "count": 7,
    }
    everybody = usage_json(url, "--days", "1")
    for part in ("used", "refused"):
        assert [row["workspace"] for row in everybody[part]] == ["other", "studio"]
    table = usage(url, "--days", "31", "--workspace", "studio")
    assert table.count(" clip ") == table.count(" quota_exceeded ") == 3
    assert "other" not in table


@pytest.mark.database
@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--workspace", "nobody"], 1, "no workspace 'nobody'"),
        (["--days", "0"], 2, "a whole number from 1 to 3660"),
        (["--days", "99999999"], 2, "a whole number from 1 to 3660"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(fresh_database_url: str, arguments: list[str], status: int, says: str) -> None:
    done = safelight("usage", *arguments, env={"SAFELIGHT_DATABASE_URL": fresh_database_url})
    assert done.returncode == status
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.database
async def test_an_erased_workspace_leaves_its_counts_without_a_name(fresh_database_url: str) -> None:
    async with open_database(fresh_database_url) as db:
        tenant = await make_tenant(db, "canary-works")
        plant(fresh_database_url, tenant, TODAY, key_id=tenant.key_id)
        await db.run("begin_erasure", {"workspace_id": tenant.id})
        for read in READS:
            (row,) = await read(OPERATOR, db, TODAY, TODAY)
            assert (row.workspace, row.api_key_id) == (f"erased-{tenant.id}", tenant.key_id)
        async with db.connection() as connection:
            for table in ("daily_usage", "daily_refusals"):
                cursor = await connection.execute(f"select t::text from {table} t")
                assert "canary" not in str(await cursor.fetchall())
