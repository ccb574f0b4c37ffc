"""The archive in a backup and in the copy that is restored from it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from safelight.db.embedded import EmbeddedPostgres
from safelight.db.migrate import migrate
from safelight.keeping.archives import find_archived
from tests.archive.world import ago, world_in
from tests.money.shop import SIGNING_KEYS
from tests.support.histories import Past
from tests.support.server import open_folder, safelight


def command(*arguments: str | Path, status: int = 0) -> str:
    done = safelight(*arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


async def archived_in(folder: Path, url: str) -> tuple[list[str], list[str]]:
    """An archive of two segments, and a file beside them that no row names: its ids, and the keys of the segments."""
    async with world_in(folder, url) as world:
        tenant = await world.tenant()
        ids = await world.past(tenant, [Past(at=ago(40)), Past(at=ago(39)), Past(at=ago(2))])
        done = await world.archived()
        assert (done.segments, done.removed) == (2, 2)
        keys = [segment.key for segment in await world.segments()]
        (world.media / keys[0]).with_name("01-000009-0000000000000000.jsonl.gz").write_text("interrupted")
        return ids, keys


async def look_at_copy(folder: Path, url: str, ids: list[str]) -> None:
    """It proves, has what was archived, and goes on where the original was."""
    async with world_in(folder, url) as copy:
        await copy.check()
        proof = await copy.prove()
        assert (proof.segments, proof.generations, proof.leftovers) == (2, 2, ())
        for id_ in ids[:2]:
            assert (await find_archived(copy.keeping, id_)).id == id_
        assert copy.sql("select id from generations") == [(ids[2],)]


def test_the_archive_is_in_a_backup_and_holds_in_the_copy() -> None:
    """Without the media as well: what is archived is of the ledger, and in no table any more."""
    with open_folder() as base:
        original, copy = base / "original", base / "copy"
        with EmbeddedPostgres(original) as url:
            migrate(url)
            ids, keys = asyncio.run(archived_in(original, url))
            (original / "signing-keys").write_text(SIGNING_KEYS)
            said = command("backup", base / "one.tar", "--data-dir", original, "--no-media")
            assert "2 segments of the archive" in said
            (original / "media" / keys[0]).write_text("changed")
            (original / "media" / keys[1]).unlink()
            said = command("backup", base / "two.tar", "--data-dir", original, status=1)
            assert f"DAMAGED in the store: {keys[0]}" in said and f"MISSING from the store: {keys[1]}" in said
        said = command("restore", base / "one.tar", "--data-dir", copy)
        assert "2 segments of the archive" in said
        with EmbeddedPostgres(copy) as url:
            books = command("books", "--all", "--archives", "--data-dir", copy)
            assert "2 segments" in books
            asyncio.run(look_at_copy(copy, url, ids))
