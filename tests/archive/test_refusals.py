"""What the database itself refuses: rows go where a committed segment has them, and nothing else does."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from safelight.db.pool import statement
from safelight.domain.ids import new_ulid
from safelight.keeping import archive as archiving
from tests.archive.world import World, ago
from tests.support.histories import Past
from tests.support.tenants import Tenant

pytestmark = pytest.mark.database

TABLES = ("archives", "generations", "transfers", "media", "archived_ledger", "archived_usage")


async def recorded(world: World) -> tuple[Tenant, list[str]]:
    """Six old generations, of which the first three are on record in a segment, and a recent one."""
    tenant = await world.tenant()
    ids = await world.past(tenant, [*(Past(at=ago(40 - n)) for n in range(6)), Past(at=ago(1))])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(archiving._Run, "_remove_all", none)
        patched.setattr(archiving._Run, "_has_due", once_up_to(3))
        assert (await world.archive()).segments == 3
    return tenant, ids


async def none(run: object) -> None:
    return None


def once_up_to(segments: int) -> object:
    """Archive that many segments, a day each."""
    has_due = archiving._Run._has_due

    async def bounded(run: archiving._Run) -> bool:
        return run._segments < segments and await has_due(run)

    return bounded


def rows(world: World) -> dict[str, list[tuple[object, ...]]]:
    return {table: world.sql(f"select to_jsonb(t) from {table} t order by 1") for table in TABLES}


async def refused(world: World, statement: str, *params: object) -> str:
    """What is said of it; nothing has changed."""
    before = rows(world)
    with pytest.raises(psycopg.Error) as caught:
        world.sql(statement, *params)
    assert rows(world) == before
    return str(caught.value)


async def test_what_is_not_on_record_does_not_go(world: World) -> None:
    _, ids = await recorded(world)
    assert (world.count("archives"), len(ids)) == (3, 7)
    for text, params in (
        ("delete from transfers", ()),
        ("delete from transfers where generation_id is null", ()),
        ("delete from transfers where generation_id = %s", (ids[3],)),
        ("delete from transfers where generation_id = any(%s)", (ids[2:4],)),
        ("delete from transfers where generation_id = %s", (ids[6],)),
        ("with gone as (delete from transfers where generation_id = %s returning 1) select from gone", (ids[3],)),
        ("update transfers set created_at = created_at where generation_id = %s", (ids[0],)),
        ("truncate transfers cascade", ()),
    ):
        assert "transfers is append-only" in await refused(world, text, *params)
    if world.sql("show server_version_num")[0][0] >= "170000":
        merge = "merge into transfers t using (values (%s)) v (id) on t.generation_id = v.id when matched then delete"
        assert "transfers is append-only" in await refused(world, merge, ids[3])
    assert "kept as receipts" in await refused(world, "delete from media where generation_id = %s", ids[3])
    assert "refused" in await refused(world, "update archives set removed_at = now()")
    for text in ("delete from archives", "update archives set last_id = 'req-8'", "truncate archives"):
        assert "append-only" in await refused(world, text)
    # Of what is on record nothing goes in part: a generation stays while its money and receipts do.
    assert "foreign key" in await refused(world, "delete from generations where id = %s", ids[0])
    await world.check()


async def test_a_segment_lets_nothing_go_in_its_own_transaction(world: World) -> None:
    """Whoever could write a row there, and take it back with what went, would leave nothing of either."""
    tenant = await world.tenant()
    ids = await world.past(tenant, [Past(at=ago(40))])
    with psycopg.connect(world.url) as connection:
        connection.execute(FORGED, forged(ids[0]))
        with pytest.raises(errors.RestrictViolation, match="transfers is append-only"):
            connection.execute("delete from transfers where generation_id = %s", [ids[0]])
    assert world.count("archives") == 0 and world.count("transfers") == 3


FORGED = """
insert into archives (number, after_id, last_id, last_transfer_id, key, size_bytes, sha256, previous_sha256,
    generations, transfers, media, sums, archived_at, xid)
values (%(number)s, %(after)s, %(last)s, 1000000, %(last)s, 1, sha256(%(last)s::text::bytea), %(previous)s,
    1, 1, 1, '[]', now() - interval '1 day', '3')
"""


def forged(last: str, **changed: object) -> dict[str, object]:
    return {"number": 1, "after": "", "last": last, "previous": None, **changed}


async def test_the_chain_has_no_gap_and_no_branch(world: World) -> None:
    _, ids = await recorded(world)
    ((sha256,),) = world.sql("select sha256 from archives where number = 3")
    right: dict[str, object] = {"number": 4, "after": ids[2], "previous": sha256}
    for changed in ({"number": 5}, {"number": 3}, {"after": ids[1]}, {"after": ids[3]}, {"previous": None}):
        refusal = pytest.raises(errors.RestrictViolation, match="does not continue the chain")
        with psycopg.connect(world.url) as connection, refusal:
            connection.execute(FORGED, forged(ids[4], **{**right, **changed}))
    with psycopg.connect(world.url) as connection:
        connection.execute(FORGED, forged(ids[4], **right))
        told = connection.execute("select archived_at = now(), xid > '3' from archives where number = 4")
        assert told.fetchall() == [(True, True)], "its times are the database's"
        connection.rollback()


async def test_what_comes_later_does_not_go_with_it(world: World) -> None:
    """A node whose clock is years behind gives an id that a segment covers already: it is in no file, and stays."""
    tenant, ids = await recorded(world)
    late = f"req-{new_ulid(int(ago(39).timestamp() * 1000) - 1000)}"
    assert ids[0] < late < ids[2]
    world.sql(LATE, late, tenant.id)
    assert "transfers is append-only" in await refused(world, "delete from transfers where generation_id = %s", late)
    with psycopg.connect(world.url, autocommit=True) as connection:
        for number in (1, 2, 3):
            connection.execute(statement("remove_archived"), {"number": number, "after": "", "limit": 100})
            connection.execute(statement("end_archive"), {"number": number})
    assert world.sql("select id from generations where id <= %s", ids[2]) == [(late,)]
    await world.check()


LATE = """
with made as (
    insert into generations (id, workspace_id, type, model, body_sha256, billable_unit, unit_price_nanos, quantity,
        held_nanos, state, deadline, retention_seconds)
    values (%s, %s, 'image', 'still', '', 'image', 0, 1, 0, 'queued', now(), 60)
    returning id, workspace_id
), counted as (
    update accounts a set in_flight = in_flight + 1 from made where a.workspace_id = made.workspace_id
)
insert into transfers (workspace_id, kind, generation_id) select workspace_id, 'hold', id from made
"""


async def test_nothing_is_put_on_record_that_does_not_add_up(world: World) -> None:
    tenant = await world.tenant()
    ids = await world.past(tenant, [Past(at=ago(40))])
    async with world.db.connection() as connection:
        await connection.execute("begin")
        row = await (await connection.execute(statement("sum_segment"), {"after": "", "last": ids[0]})).fetchone()
        await connection.execute("rollback")
    assert row is not None
    generations, transfers, media, last_transfer_id, sums = row
    right = {
        "number": 1, "after_id": "", "last_id": ids[0], "last_transfer_id": last_transfer_id, "key": "k",
        "size_bytes": 1, "sha256": b"x" * 32, "previous_sha256": None, "generations": generations,
        "transfers": transfers, "media": media, "sums": Jsonb(sums),
    }  # fmt: skip
    changed = [{**sums[0], "revenue_nanos": sums[0]["revenue_nanos"] + 1}]
    with psycopg.connect(world.url) as session:
        for wrong in ({"sums": Jsonb(changed)}, {"sums": Jsonb([])}, {"last_transfer_id": last_transfer_id - 1}):
            assert session.execute(statement("record_archive"), {**right, **wrong}).fetchall() == []
        session.execute("update books_close set transfer_id = %s", [last_transfer_id - 1])
        assert session.execute(statement("record_archive"), right).fetchall() == [], "not closed up to there"
        session.execute("update books_close set transfer_id = %s", [last_transfer_id])
        assert session.execute(statement("record_archive"), right).fetchall() == [(1,)]
        session.rollback()


@pytest.mark.parametrize("opened", ["update books_close set transfer_id = 1", "delete from books_close"])
async def test_rows_stay_while_the_books_are_open(world: World, opened: str) -> None:
    await recorded(world)
    world.sql(opened)
    with psycopg.connect(world.url, autocommit=True) as connection:
        found = connection.execute(statement("remove_archived"), {"number": 1, "after": "", "limit": 100}).fetchall()
    assert found == [(0, None, False)]
    assert world.count("generations") == 7
