"""Drift is told where operators look: by the command, and by readiness after the periodic check."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg

from safelight.accounts.books import check_and_record_books
from safelight.domain.scope import OPERATOR
from tests.money.shop import settings_environment
from tests.support.postgres import open_database
from tests.support.server import Server
from tests.support.tenants import make_tenant


async def test_readiness_tells_of_drift_until_it_is_mended(
    fresh_server: Callable[..., Server], fresh_database_url: str, tmp_path: Path
) -> None:
    """A worker makes the check every five minutes; here it is made at once."""
    server = fresh_server(command="serve", env=settings_environment(tmp_path, fresh_database_url))
    async with open_database(fresh_database_url) as db:
        await make_tenant(db, "studio", usd="1")
        await asyncio.to_thread(server.wait_until_ready)
        for drift, status, told in ((1, 503, "1 out of balance: run 'safelight books'"), (-1, 200, "ok")):
            with psycopg.connect(fresh_database_url, autocommit=True) as connection:
                connection.execute("update accounts set available_nanos = available_nanos + %s", (drift,))
            await check_and_record_books(OPERATOR, db)
            answer = httpx.get(f"{server.base_url}/readyz", timeout=60)
            assert (answer.status_code, answer.json()["checks"]["books"]) == (status, told)
    server.stop()
