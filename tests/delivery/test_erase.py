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
    (select count(*) from webhook_endpoints where workspace_id = w.id),
    (select count(*) from refused_requests where workspace_id = w.id),
    (select count(*) from daily_end_users where workspace_id = w.id),
    (select count(*) from dashboard_sessions where workspace_id = w.id),
    (select count(*) from login_links where workspace_id = w.id)
from workspaces w where w.id {} (select workspace_id from generations where id = %s)
"""
# More than a batch of what people leave, in every workspace.
PEOPLE = """
insert into refused_requests (workspace_id, type, model, reason, message, count)
select w.id, 'image', 'still', 'rate_limit', 'Wait.', 1 from workspaces w, generate_series(1, 1100);
insert into daily_end_users (workspace_id, date, type, model, end_user)
select w.id, '2026-05-01', 'image', 'still', 'user ' || i from workspaces w, generate_series(1, 1100) i;
insert into dashboard_sessions (sha256, workspace_id, person, role, user_agent, expires_at)
select sha256(w.name::bytea), w.id, 'ann', 'admin', '', now() + interval '1 h' from workspaces w;
insert into login_links (sha256, workspace_id, person, role, expires_at)
select sha256(w.name::bytea), w.id, 'ann', 'admin', now() + interval '1 h' from workspaces w;
insert into audit_log (workspace_id, person, role, action, target)
select w.id, 'ann', 'admin', 'key.create', '7' from workspaces w
"""
NOTHING = [(0, 0, 0, 0, 0, 0, 0, 0, 0)]


async def test_more_than_a_batch_of_everything_goes_and_others_stay(fresh_database_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(keep, fresh_database_url, GENERATIONS)
    async with parts_in(tmp_path, fresh_database_url) as parts, parts.db.connection() as connection:
        for statement in PEOPLE.split(";"):
            await connection.execute(statement)
        of_another = await (await connection.execute(LEFT.format("<>"), [kept_id(2)])).fetchall()
        await erase_workspace(parts.keeping, LARGE)
        assert await (await connection.execute(LEFT.format("="), [kept_id(2)])).fetchall() == NOTHING
        assert await (await connection.execute(LEFT.format("<>"), [kept_id(2)])).fetchall() == of_another
        assert all(row[5:] == (1100, 1100, 1, 1) for row in of_another)
        lines = "select count(distinct workspace_id) from audit_log"
        assert await (await connection.execute(lines)).fetchone() == (len(of_another) + 1,)
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
        assert await (await connection.execute(LEFT.format("="), [kept_id(2)])).fetchall() == NOTHING
