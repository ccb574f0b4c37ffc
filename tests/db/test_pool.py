from __future__ import annotations

import asyncio

import pytest

from safelight.db import sessions
from safelight.db.pool import Database
from safelight.domain.errors import ServiceUnavailable

pytestmark = pytest.mark.database


async def test_a_transaction_that_stands_still_lets_its_rows_go(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_IDLE_IN_TRANSACTION_SECONDS", 1)
    db = Database(database_url)
    await db.open()
    try:
        with pytest.raises(ServiceUnavailable):
            async with db.connection() as stopped, stopped.transaction():
                await stopped.execute("select pg_advisory_xact_lock(4711)")
                async with db.connection() as other, asyncio.timeout(60):
                    await other.execute("select pg_advisory_xact_lock(4711)")
                await stopped.execute("select 1")
    finally:
        await db.close()


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancellation_that_comes_with_the_connection_is_not_lost(database_url: str, turns: int) -> None:
    db = Database(database_url, pool_size=1)
    await db.open()

    async def hold() -> None:
        async with db.connection():
            await asyncio.Event().wait()

    try:
        async with db.connection():
            waiting = asyncio.create_task(hold())
            await asyncio.sleep(0.05)
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=10)
        assert waiting.cancelled()
        async with db.connection() as again:
            await again.execute("select 1")
    finally:
        await db.close()


async def test_a_pool_that_is_closed_refuses_without_keeping_others_from_work(database_url: str) -> None:
    db = Database(database_url)
    await db.open()
    await db.close()

    async def ask() -> None:
        async with db.connection():
            pass

    asked, turns = asyncio.create_task(ask()), 0
    while not asked.done():
        turns += 1
        await asyncio.sleep(0.01)
    assert turns > 10
    with pytest.raises(ServiceUnavailable):
        await asked
