"""Killed anywhere, or two at once: each generation is in the tables or in a file that can be read."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import msgspec
import psycopg
import pytest

from safelight.accounts.books import check_books
from safelight.domain.errors import ConfigurationError
from safelight.domain.scope import OPERATOR
from safelight.jobs.queues import make_app, make_upkeep_app
from safelight.keeping import archive as archiving
from safelight.keeping.segments import read_segment
from safelight.node.settings import load_settings
from tests.archive.world import World, ago, environment
from tests.support.histories import Past
from tests.support.server import safelight

POINTS = ("archive-after-write", "archive-after-store", "archive-after-commit", "archive-after-batch")


def archived_ids(world: World, files: list[Any]) -> list[str]:
    return [made.id for segment in files for made in read_segment(world.file(segment))]


async def test_killed_at_each_point_nothing_is_lost_or_doubled(world: World) -> None:
    tenant = await world.tenant()
    ids = await world.past(tenant, [Past(at=ago(40 - n // 2)) for n in range(8)])
    for point in POINTS:
        killed = await command(world, "archive", "run", SAFELIGHT_KILLPOINT=point)
        assert killed.returncode == -9, killed.stdout + killed.stderr
        await world.check()
        kept = [row[0] for row in world.sql("select id from generations order by id")]
        gone = [id_ for id_ in archived_ids(world, await world.segments()) if id_ not in kept]
        assert sorted(gone + kept) == ids
        assert world.sql("select count(distinct generation_id) from transfers") == [(len(kept),)]
    done = await command(world, "archive", "run", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["stopped_by"] is None, done.stdout + done.stderr
    assert (world.count("generations"), archived_ids(world, await world.segments())) == (0, ids)
    assert world.count("transfers") == 1, "the credit"
    assert await asyncio.to_thread(list, world.keeping.work_dir.iterdir()) == [], "nothing is left on the disk"
    await world.check()


async def command(world: World, *arguments: str, **more: str) -> Any:
    return await asyncio.to_thread(safelight, *arguments, env={**environment(world), **more})


async def test_the_commands_tell(world: World) -> None:
    tenant = await world.tenant()
    ids = await world.past(tenant, [Past(at=ago(40)), Past(at=ago(1))])
    await world.archived()
    (listed,) = json.loads((await command(world, "archive", "list", "--json")).stdout)
    assert (listed["number"], listed["last_id"], listed["generations"]) == (1, ids[0], 1)
    found = await command(world, "archive", "find", ids[0])
    assert json.loads(found.stdout)["transfers"][1]["kind"] == "settle"
    await world.check()
    (segment,) = await world.segments()
    world.file(segment).unlink()
    assert (await check_books(OPERATOR, world.db)).balances, "the tables prove themselves"
    bad = await command(world, "books", "--archives", "--json")
    told = json.loads(bad.stdout)
    assert (bad.returncode, told["balances"], told["archive"]["problems"]) == (
        1,
        True,
        [f"segment 1 ({segment.key}): it is missing from the media store"],
    )


def test_files_and_events_are_gone_by_then() -> None:
    given = {"SAFELIGHT_RETENTION_MAX": "90d", "SAFELIGHT_ARCHIVE_AFTER": "120d"}
    with pytest.raises(ConfigurationError, match="31 days longer than SAFELIGHT_RETENTION_MAX"):
        load_settings(given)
    assert load_settings({**given, "SAFELIGHT_ARCHIVE_AFTER": "121d"}).archive_after_seconds == 121 * 86400
    assert load_settings({}).archive_after_seconds is None


async def test_the_job_of_every_night_archives_where_it_is_on(world: World) -> None:
    await world.past(await world.tenant(), [Past(at=ago(40))])
    app = make_upkeep_app(make_app(world.url).connector)
    assert [(each.cron, each.task.name) for each in app.periodic_registry.periodic_tasks.values()].count(
        ("7 2 * * *", "archive")
    ) == 1
    off = msgspec.structs.replace(world.keeping, archive_after_seconds=None)
    for keeping, left in ((off, 1), (world.keeping, 0)):
        context = SimpleNamespace(additional_context={"parts": SimpleNamespace(keeping=keeping)})
        await app.tasks["archive"].func(context, 0)
        assert world.count("generations") == left


@pytest.mark.database
async def test_two_at_once_archive_once(world: World) -> None:
    ids = await world.past(await world.tenant(), [Past(at=ago(40 - n)) for n in range(6)])
    done = await asyncio.gather(*(world.archive() for _ in range(2)))
    assert sorted((each.generations, each.stopped_by) for each in done) == [
        (0, "another process is archiving"),
        (6, None),
    ]
    assert archived_ids(world, await world.segments()) == ids
    await world.check()


@pytest.mark.database
async def test_without_their_lock_the_chain_keeps_them_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is lost with its session: whoever comes later puts nothing on record, while rows are there and after."""
    ids = await world.past(await world.tenant(), [Past(at=ago(40 - n // 3)) for n in range(12)])
    late = [archiving._Run(world.keeping, world.keeping.archive_after_seconds or 0, 2) for _ in range(2)]
    assert [await run._has_due() for run in late] == [True, True]
    last = (await late[0]._find()).last_id
    assert last is not None

    async def none(run: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(archiving._Run, "_remove_all", none)
        await world.archived(most=1)
    with pytest.raises(psycopg.errors.RestrictViolation, match="does not continue the chain"):
        await late[0]._archive(last)
    await world.archived()
    assert "changed while it was written" in (await late[1]._archive(last) or "")
    assert archived_ids(world, await world.segments()) == ids
    await world.check()


@pytest.mark.database
async def test_removed_by_several_it_is_added_up_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await world.past(await world.tenant(), [Past(at=ago(40)) for _ in range(12)])

    async def none(run: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(archiving._Run, "_remove_all", none)
        await world.archived()
    monkeypatch.setattr(archiving, "_BATCH", 2)
    runs = [archiving._Run(world.keeping, 0, 1) for _ in range(3)]
    await asyncio.gather(*(run._remove_all() for run in runs), return_exceptions=True)
    await world.archived()
    assert world.count("generations") == 0 and archived_ids(world, await world.segments()) == ids
    await world.check()


async def test_a_check_of_the_archive_and_a_run_keep_apart(world: World) -> None:
    await world.past(await world.tenant(), [Past(at=ago(40))])
    async with archiving.alone(world.db) as is_alone:
        assert is_alone
        assert (await world.archive()).stopped_by == "another process is archiving"
        with pytest.raises(ConfigurationError, match="Another process is archiving"):
            await world.prove()
    await world.archived()
