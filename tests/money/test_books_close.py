"""What was verified is closed: checks go on from there, and the whole check still finds what was changed before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import pytest_asyncio

from safelight.accounts.books import (
    Books,
    check_and_record_all_books,
    check_and_record_books,
    check_books,
    check_books_since_close,
)
from safelight.db.pool import Database
from safelight.domain.scope import OPERATOR
from tests.money.test_ledger_constraints import DONE, DRIFT, HELD, Connection, W, fill, hold, recorded_problems, settle
from tests.support.postgres import open_database
from tests.support.server import safelight

pytestmark = pytest.mark.database

LATER, LATER_STILL = "req-01JZ0000000000000000000003", "req-01JZ0000000000000000000004"


@pytest.fixture
def connection(fresh_database_url: str) -> Iterator[Connection]:
    with psycopg.connect(fresh_database_url, autocommit=True) as made:
        fill(made)
        yield made


@pytest_asyncio.fixture
async def db(connection: Connection, fresh_database_url: str) -> AsyncIterator[Database]:
    async with open_database(fresh_database_url, pool_size=2) as opened:
        yield opened


def newest_transfer(connection: Connection) -> object:
    ((number,),) = connection.execute("select max(id) from transfers").fetchall()
    return number


async def close(db: Database) -> Books:
    """Check until the books are closed up to the newest transfer, which waits for all that the server has under way."""
    async with db.connection() as connection:
        row = await (await connection.execute("select max(id) from transfers")).fetchone()
    assert row
    async with asyncio.timeout(60):
        while True:
            assert (await check_and_record_books(OPERATOR, db)).balances
            books = await check_books_since_close(OPERATOR, db)
            if books.closed_up_to == row[0]:
                return books
            await asyncio.sleep(0.05)


async def test_a_check_goes_on_from_the_last_close(connection: Connection, db: Database) -> None:
    assert (await check_and_record_books(OPERATOR, db)).closed_up_to == 0
    whole = await check_books(OPERATOR, db)
    closed = await close(db)
    assert closed.closed_up_to == newest_transfer(connection)
    assert (closed.statement, closed.balances) == (whole.statement, True)
    hold(connection, LATER)
    settle(connection, HELD, charged=10_000)
    later = await check_and_record_books(OPERATOR, db)
    assert (later.statement, later.balances) == ((await check_books(OPERATOR, db)).statement, True), later
    assert later.closed_up_to == closed.closed_up_to
    settle(connection, LATER, charged=20_000)
    latest = await close(db)
    assert (latest.closed_up_to, latest.balances) == (newest_transfer(connection), True)
    assert latest.statement.revenue_nanos == 60_000


@pytest.mark.parametrize("statement", [text for text in DRIFT if "accounts" in text or HELD in text or "usage" in text])
async def test_what_stands_now_is_compared_with_what_was_closed(
    connection: Connection, db: Database, statement: str
) -> None:
    await close(db)
    connection.execute("set session_replication_role = replica")
    connection.execute(statement)
    assert not (await check_and_record_books(OPERATOR, db)).balances
    assert await recorded_problems(db)


@pytest.mark.parametrize(
    "statement",
    [
        f"update transfers set revenue_nanos = 40000, available_nanos = 10000 where generation_id = '{LATER}'"
        " and kind = 'settle'",
        f"delete from transfers where generation_id = '{LATER}' and kind = 'settle'",
        f"update generations set charged_nanos = charged_nanos + 1 where id = '{LATER}'",
        f"update generations set charged_thousandths = charged_thousandths + 1 where id = '{LATER}'",
        f"update generations set model = 'other' where id = '{LATER}'",
        "update daily_usage set completed = completed + 1",
        f"update generations set state = 'failed', error_code = 'x', deletes_at = null where id = '{LATER}'",
    ],
)
async def test_what_came_since_is_verified_in_full(connection: Connection, db: Database, statement: str) -> None:
    await close(db)
    hold(connection, LATER)
    settle(connection, LATER, charged=20_000)
    assert (await check_books_since_close(OPERATOR, db)).balances
    connection.execute("set session_replication_role = replica")
    connection.execute(statement)
    assert not (await check_and_record_books(OPERATOR, db)).balances
    closed_at = "select transfer_id < (select max(id) from transfers) from books_close"
    for _ in range(2):
        await check_and_record_books(OPERATOR, db)
    assert connection.execute(closed_at).fetchall() == [(True,)], "what does not balance is not closed"


async def test_what_was_closed_and_changed_since_is_found_by_the_whole_check(
    connection: Connection, db: Database, fresh_database_url: str
) -> None:
    environment = {"SAFELIGHT_DATABASE_URL": fresh_database_url}
    await close(db)
    connection.execute(f"update generations set charged_nanos = charged_nanos + 1 where id = '{DONE}'")
    assert (await check_and_record_books(OPERATOR, db)).balances, "it does not look there"
    assert (await asyncio.to_thread(safelight, "books", env=environment)).returncode == 0
    told = await asyncio.to_thread(safelight, "books", "--all", "--json", env=environment)
    assert (told.returncode, json.loads(told.stdout)["closed_up_to"]) == (1, 0)
    assert {item["what"] for item in json.loads(told.stdout)["drift"]} == {"charged"}

    assert not (await check_and_record_all_books(OPERATOR, db)).balances
    assert "charged of w has drifted" in await recorded_problems(db)
    assert not (await check_and_record_books(OPERATOR, db)).balances, "no later check passes over it"
    assert "charged of w has drifted" in await recorded_problems(db)
    connection.execute(f"update generations set charged_nanos = charged_nanos - 1 where id = '{DONE}'")
    assert (await check_and_record_books(OPERATOR, db)).balances
    assert await recorded_problems(db) == []
    assert (await close(db)).closed_up_to == newest_transfer(connection)


async def test_nothing_comes_to_light_behind_a_close(
    connection: Connection, db: Database, fresh_database_url: str
) -> None:
    """A transfer takes its number when it is written, and is seen when its transaction ends."""
    v = "(select id from workspaces where name = 'v')"
    with psycopg.connect(fresh_database_url) as slow:
        slow.execute(
            "insert into transfers (workspace_id, kind, funding_nanos, available_nanos, reason)"
            f" values ({v}, 'fund', -7, 7, 'slow')"
        )
        slow.execute(f"update accounts set available_nanos = available_nanos + 7 where workspace_id = {v}")
        hold(connection, LATER)  # with a higher number, and there at once
        for _ in range(3):
            assert (await check_and_record_books(OPERATOR, db)).balances
        assert (await check_books_since_close(OPERATOR, db)).closed_up_to == 0
    books = await close(db)
    assert books.closed_up_to == newest_transfer(connection)
    assert books.statement.funded_nanos == 1_000_007


async def test_workers_that_close_at_once_close_once(connection: Connection, db: Database) -> None:
    for generation_id in (LATER, LATER_STILL):
        hold(connection, generation_id)
        checks = await asyncio.gather(*(check_and_record_books(OPERATOR, db) for _ in range(6)))
        assert all(books.balances for books in checks), checks
        settle(connection, generation_id, charged=20_000)
    assert (await close(db)).balances
    closed = connection.execute(f"select transfers from books_closed_accounts where workspace_id = {W}").fetchall()
    assert closed == connection.execute("select count(*) from transfers").fetchall()


async def test_books_that_were_put_back_from_a_dump_are_closed_again(connection: Connection, db: Database) -> None:
    """Its server counts transactions from the beginning: those that were noted lie far ahead."""
    await close(db)
    connection.execute("update books_close set next_xid = '999999999999'")
    hold(connection, LATER)
    assert (await close(db)).closed_up_to == newest_transfer(connection)
