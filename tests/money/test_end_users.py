"""What is made for end users is added up in the commit that ends it, whatever ends meanwhile in other processes."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import msgspec
import pytest

from safelight.accounts.books import check_books
from safelight.accounts.usage import EndUserUsage, list_end_users
from safelight.db.pool import statement
from safelight.domain.errors import InvalidParameter
from safelight.domain.scope import OPERATOR
from tests.db.release_before import ReleaseBefore, Sender, Wish, frozen
from tests.money.shop import parts_in
from tests.support.postgres import open_database
from tests.support.tenants import make_tenant

pytestmark = pytest.mark.database

EACH = 60
TODAY = datetime.now(UTC).date()
DAYS = (TODAY - timedelta(days=1), TODAY + timedelta(days=1))


def end_many(url: str, is_before: bool) -> None:
    """Ends of a few users' images, in an order of its own: as a node of the release before, or of today."""
    chance, node = random.Random(is_before), ReleaseBefore(url, frozen if is_before else statement)
    by = Sender(workspace_id=1, key_id=1, is_capped=True)
    for _ in range(EACH):
        work = node.submit(by, Wish(type="image", model="still", end_user=chance.choice(["a", "b", None])))
        assert chance.choice([node.complete, node.complete, node.fail])(work) is not None
    node.close()


async def test_two_processes_that_end_at_once_lose_and_double_nothing(fresh_database_url: str, tmp_path: Path) -> None:
    async with open_database(fresh_database_url) as db:
        tenant = await make_tenant(db, spend_cap="100000", usd="100000", image_rpm=10**6, concurrency=10**6)
        assert (tenant.id, tenant.key_id) == (1, 1)
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
            list(processes.map(end_many, [fresh_database_url] * 2, (True, False)))
        rows = await list_end_users(tenant.scope, db, *DAYS)
        async with db.connection() as connection:
            cursor = await connection.execute(
                "select end_user, count(*) filter (where state = 'completed'),"
                " count(*) filter (where state = 'failed'), sum(charged_nanos)::bigint, sum(charged_thousandths)"
                " from generations where end_user is not null group by 1 order by 1"
            )
            expected = await cursor.fetchall()
            cursor = await connection.execute("select count(*) from generations where finished_at is not null")
            assert await cursor.fetchall() == [(2 * EACH,)]
        told = [(r.end_user, r.completed, r.failed, r.cost_nanos, r.charged_thousandths) for r in by_user(rows)]
        assert told == expected and len(told) == 2
    async with parts_in(tmp_path, fresh_database_url) as parts:
        assert (await check_books(OPERATOR, parts.db)).balances


def by_user(rows: list[EndUserUsage]) -> list[EndUserUsage]:
    """Over midnight there are two of each; on other days this is what they are, by name."""
    added: dict[str, EndUserUsage] = {}
    for row in rows:
        known = added.get(row.end_user)
        added[row.end_user] = row if known is None else plus(known, row)
    return [added[name] for name in sorted(added)]


def plus(one: EndUserUsage, other: EndUserUsage) -> EndUserUsage:
    fields = ("completed", "failed", "cost_nanos", "charged_thousandths")
    return msgspec.structs.replace(one, **{name: getattr(one, name) + getattr(other, name) for name in fields})


async def test_both_ends_of_the_range_are_included(fresh_database_url: str) -> None:
    async with open_database(fresh_database_url) as db:
        tenant, stranger = await make_tenant(db), await make_tenant(db)
        async with db.connection() as connection:
            for who in (tenant, stranger):
                await connection.execute(
                    "insert into daily_end_users (workspace_id, date, type, model, end_user, completed)"
                    " select %s, %s::date - i, 'image', 'still', 'u', i from generate_series(0, 3) i",
                    (who.id, TODAY),
                )
        first, last = TODAY - timedelta(days=2), TODAY - timedelta(days=1)
        rows = await list_end_users(tenant.scope, db, first, last)
        assert [(row.date, row.completed, row.workspace) for row in rows] == [
            (last, 1, tenant.name),
            (first, 2, tenant.name),
        ]
        assert len(await list_end_users(OPERATOR, db, first, last)) == 4
        with pytest.raises(InvalidParameter, match="before the first"):
            await list_end_users(tenant.scope, db, last, first)
