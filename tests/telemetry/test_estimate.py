"""How much is kept: exact while it is little, and near it while it is much; and what is overdue, counted."""

from __future__ import annotations

import psycopg
import pytest

from bench.kept import keep
from safelight.db.pool import Database
from safelight.domain.scope import OPERATOR
from safelight.keeping import inventory
from safelight.keeping.inventory import count_overdue_files, stored_bytes


async def test_what_is_kept(fresh_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(fresh_database_url, 3_000)
    with psycopg.connect(fresh_database_url, autocommit=True) as connection:
        connection.execute("update media set size_bytes = 1000 + length(generation_id) where deleted_at is null")
        connection.execute("update media set deletes_at = now() - interval '1 hour' where key like '%4-0.png'")
        connection.execute("vacuum analyze media")
        row = connection.execute(
            "select sum(size_bytes), count(*) filter (where deletes_at < now()) from media where deleted_at is null"
        ).fetchone()
    assert row is not None
    exact, overdue = map(int, row)
    database = Database(fresh_database_url, pool_size=2)
    await database.open()
    try:
        monkeypatch.setattr(inventory, "_MOST_SUMMED", 3_001)
        assert await stored_bytes(OPERATOR, database) == exact
        monkeypatch.setattr(inventory, "_MOST_SUMMED", 50)
        assert await stored_bytes(OPERATOR, database) == pytest.approx(exact, rel=0.05)
        assert await count_overdue_files(OPERATOR, database) == overdue > 0
    finally:
        await database.close()
