"""Drift is told where operators look: by the command, and by readiness after the periodic check."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg

from safelight.accounts.books import check_and_record_books
from safelight.accounts.credit import add_credit
from safelight.accounts.workspaces import create_workspace
from safelight.db.pool import Database
from tests.money.shop import settings_environment
from tests.support.server import Server


async def test_readiness_tells_of_drift_until_it_is_mended(
    fresh_server: Callable[..., Server], fresh_database_url: str, tmp_path: Path
) -> None:
    """A worker makes the check every five minutes; here it is made at once."""
    server = fresh_server(command="serve", env=settings_environment(tmp_path, fresh_database_url))
    db = Database(fresh_database_url, pool_size=1)
    await db.open()
    try:
        await create_workspace(db, "studio")
        await add_credit(db, "studio", 10**9, "for a test")
        await asyncio.to_thread(server.wait_until_ready)
        for drift, status, told in ((1, 503, "available of studio has drifted"), (-1, 200, "ok")):
            with psycopg.connect(fresh_database_url, autocommit=True) as connection:
                connection.execute("update accounts set available_nanos = available_nanos + %s", (drift,))
            await check_and_record_books(db)
            answer = httpx.get(f"{server.base_url}/readyz", timeout=60)
            assert (answer.status_code, answer.json()["checks"]["books"]) == (status, told)
    finally:
        await db.close()
    server.stop()
