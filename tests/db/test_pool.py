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
