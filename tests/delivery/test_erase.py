"""A workspace is erased batch by batch, as large as it may be, and nobody else's things with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.kept import LARGE, keep, kept_id
from safelight.keeping.erase import continue_erasures, erase_workspace
from tests.money.shop import parts_in

pytestmark = pytest.mark.database

GENERATIONS = 4_200
LEFT = """
select
    (select count(*) from generations
     where workspace_id = w.id and (request is not null or state = 'failed' and error_message <> 'Erased.')),
    (select count(*) from media m join generations g on g.id = m.generation_id
     where g.workspace_id = w.id and m.deletes_at > now()),
    (select count(*) from idempotency_keys where workspace_id = w.id),
    (select count(*) from events where workspace_id = w.id),
    (select count(*) from webhook_endpoints where workspace_id = w.id)
from workspaces w where w.id {} (select workspace_id from generations where id = %s)
"""


async def test_more_than_a_batch_of_everything_goes_and_others_stay(fresh_database_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(keep, fresh_database_url, GENERATIONS)
    async with parts_in(tmp_path, fresh_database_url) as parts, parts.db.connection() as connection:
        of_another = await (await connection.execute(LEFT.format("<>"), [kept_id(2)])).fetchall()
        await erase_workspace(parts.keeping, LARGE)
        assert await (await connection.execute(LEFT.format("="), [kept_id(2)])).fetchall() == [(0, 0, 0, 0, 0)]
        assert await (await connection.execute(LEFT.format("<>"), [kept_id(2)])).fetchall() == of_another
        transfers = "select count(*) from transfers"
        assert await (await connection.execute(transfers)).fetchone() == (2 * GENERATIONS + 20,)


async def test_a_sweep_does_a_part_and_the_next_goes_on(fresh_database_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(keep, fresh_database_url, GENERATIONS)
    async with parts_in(tmp_path, fresh_database_url) as parts, parts.db.connection() as connection:
        row = await (await connection.execute("select id from workspaces where name = %s", [LARGE])).fetchone()
        assert row is not None
        await parts.db.one("begin_erasure", {"workspace_id": row[0]}, tuple)
        done = []
        while await parts.db.all("list_erasures", {}, tuple):
            await continue_erasures(parts.keeping, most_batches=1)
            kept = "select count(*) from generations where workspace_id = %s and request is not null"
            left = await (await connection.execute(kept, row)).fetchone()
            assert left is not None
            done.append(left[0])
        assert done[:4] == [1100, 100, 0, 0]
        assert await (await connection.execute(LEFT.format("="), [kept_id(2)])).fetchall() == [(0, 0, 0, 0, 0)]
