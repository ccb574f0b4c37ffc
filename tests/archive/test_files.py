"""The files of the archive: what is in them, and that one which is changed, cut off or gone is told by name."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.domain.errors import ConfigurationError, NotFound, ServiceUnavailable
from safelight.domain.ids import new_generation_id
from safelight.keeping import archive as archiving
from safelight.keeping.archives import Segment, find_archived
from tests.archive.world import World, ago
from tests.support.histories import Past

SECRETS = ("canary-prompt", "canary-user", "canary.example", "canary-error", "canary-handle")


async def archived(world: World, days: int = 3) -> tuple[list[str], list[Segment]]:
    """Generations of as many days, a segment each."""
    tenant = await world.tenant()
    ids = await world.past(tenant, [Past(at=ago(40 - n), end_user="canary-user") for n in range(days)])
    done = await world.archived()
    assert (done.segments, done.generations, done.removed, world.count("generations")) == (days, days, days, 0)
    return ids, await world.segments()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


async def test_a_segment_says_itself_what_it_is(world: World) -> None:
    """With gzip and JSON alone, the chain of hashes included."""
    ids, segments = await archived(world)
    before = None
    for segment, id_ in zip(segments, ids, strict=True):
        header, made = lines(world.file(segment))
        assert header["format"] == "safelight-archive/1" and "nano-dollars" in header["about"]
        assert (header["number"], header["last_id"], made["id"]) == (segment.number, id_, id_)
        assert header["previous_sha256"] == before
        (file,), (hold, settle) = made["media"], made["transfers"]
        assert len(file["sha256"]) == 64 and file["deleted_at"].endswith("Z")
        assert (hold["kind"], settle["kind"], settle["revenue_nanos"]) == ("hold", "settle", made["charged_nanos"])
        before = segment.sha256.hex()
    assert segments[0].key.startswith(f"archive/{ago(40):%Y/%m/%d}-000001-")


async def test_the_same_rows_make_the_same_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.past(await world.tenant(), [Past(at=ago(40)), Past(at=ago(40), state="failed")])

    async def refuse(*_: object) -> bool:
        return False

    with monkeypatch.context() as patched:
        patched.setattr(archiving._Run, "_record", refuse)
        for _ in range(2):
            done = await world.archive()
            assert done.stopped_by is not None and "changed while it was written" in done.stopped_by
    proof = await world.prove()
    assert len(proof.leftovers) == 1 and proof.holds and world.count("generations") == 2
    await world.archived()
    proof = await world.prove()
    assert proof.leftovers == () and proof.generations == 2, "the next run takes it as its own"


async def test_nothing_is_in_it_that_erasing_forgets(world: World) -> None:
    tenant = await world.tenant()
    await world.past(tenant, [Past(at=ago(40), state="failed", end_user="canary-user")])
    world.sql(
        "update generations set webhook_url = 'https://canary.example/', error_message = 'canary-error',"
        """ handle = '"canary-handle"', request = '{"prompt": "canary-prompt"}'"""
    )
    blocked = await world.archive()
    assert blocked.stopped_by is not None and "asked for is still kept" in blocked.stopped_by
    world.sql("update generations set request = null")
    await world.archived()
    (segment,) = await world.segments()
    text = gzip.decompress(world.file(segment).read_bytes()).decode()
    assert not [each for each in SECRETS if each in text]
    assert '"error_code":"generation_failed"' in text


async def test_one_is_found_by_its_id(world: World) -> None:
    ids, _ = await archived(world)
    found = await find_archived(world.keeping, ids[1])
    assert (found.id, found.state, found.charged_nanos) == (ids[1], "completed", 50_000_000)
    for absent in (new_generation_id(), "req-0" + "0" * 25, "x"):
        with pytest.raises(NotFound):
            await find_archived(world.keeping, absent)


CHANGES = {
    "a byte": lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
    "cut off": lambda content: content[:-9],
    "longer": lambda content: content + b"\0",
    "empty": lambda content: b"",
    "another amount": lambda content: gzip.compress(
        gzip.decompress(content).replace(b"50000000", b"40000000"), mtime=0
    ),
    "gone": lambda content: None,
}


async def test_what_was_changed_is_told_by_name(world: World) -> None:
    ids, segments = await archived(world)
    path = world.file(segments[1])
    content = path.read_bytes()
    for name, change in CHANGES.items():
        await world.check()
        changed = change(content)
        path.write_bytes(changed) if changed is not None else path.unlink()
        (problem,) = (await world.prove()).problems
        assert problem.startswith(f"segment 2 ({segments[1].key}): "), name
        with pytest.raises(ConfigurationError):
            await find_archived(world.keeping, ids[1])
        assert (await find_archived(world.keeping, ids[0])).id == ids[0]
        path.write_bytes(content)
    await world.check()


async def test_a_row_that_was_changed_is_told(world: World) -> None:
    """By hands that the database's own guards do not stop."""
    await archived(world)
    for text, undo, says in (
        ("update archives set sha256 = sha256('x') where number = 2", None, "SHA-256 is another"),
        ("update archives set generations = 2 where number = 3", None, "its file says generations 1, and its row 2"),
        ("update archives set sums = '[]' where number = 1", None, "its file says sums"),
        ("delete from archives where number = 2", None, "one before it is missing"),
        ("update archived_ledger set transfers = transfers + 1", None, "archived_ledger of workspace"),
        ("update archived_usage set model = 'other'", None, "archived_usage of workspace"),
    ):
        saved = {table: world.sql(f"select to_jsonb(t)::text from {table} t") for table in KEPT}
        world.sql(f"set session_replication_role = replica; {text}")
        problems = (await world.prove()).problems
        assert [problem for problem in problems if says in problem], (text, undo, problems)
        for table, old in saved.items():
            put_back = "".join(
                f"; insert into {table} select * from jsonb_populate_record(null::{table}, $q${row}$q$)"
                for (row,) in old
            )
            world.sql(f"set session_replication_role = replica; delete from {table}{put_back}")
        await world.check()


KEPT = ("archives", "archived_ledger", "archived_usage")


async def test_away_or_lying_nothing_is_removed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails, and one that has something else than what it was given."""
    tenant = await world.tenant()
    await world.past(tenant, [Past(at=ago(40)), Past(at=ago(39))])
    store = world.keeping.store

    async def away(*_: object, **__: object) -> None:
        raise ServiceUnavailable(detail="away")

    async def lies(key: str, source: Path, **_: object) -> None:
        world.media.joinpath(key).parent.mkdir(parents=True, exist_ok=True)
        world.media.joinpath(key).write_bytes(source.read_bytes()[:-1] + b"x")

    async def drops(*_: object, **__: object) -> None:
        return None

    for put in (away, lies, drops):
        with monkeypatch.context() as patched:
            patched.setattr(store, "put", put)
            with pytest.raises(ServiceUnavailable):
                await world.archive()
        assert (world.count("archives"), world.count("generations"), world.count("transfers")) == (0, 2, 5)
        assert list(world.keeping.work_dir.iterdir()) == []
    await world.archived()
    await world.check()


async def test_what_is_on_record_is_read_again_before_its_rows_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.past(await world.tenant(), [Past(at=ago(40))])

    async def none(run: object) -> None:
        return None

    with monkeypatch.context() as patched:
        patched.setattr(archiving._Run, "_remove_all", none)
        await world.archived()
    (segment,) = await world.segments()
    content = world.file(segment).read_bytes()
    for wrong in (content[:-1] + b"x", content[:-1]):
        world.file(segment).write_bytes(wrong)
        with pytest.raises(ServiceUnavailable):
            await world.archive()
    world.file(segment).unlink()
    with pytest.raises(ServiceUnavailable, match="not in the media store"):
        await world.archive()
    assert (world.count("generations"), world.count("transfers")) == (1, 3)
    world.file(segment).write_bytes(content)
    assert (await world.archived()).removed == 1
    await world.check()


async def test_what_is_in_the_way_is_told(world: World) -> None:
    """And what comes after it waits, as each segment has all of its ids."""
    tenant = await world.tenant()
    ids = await world.past(tenant, [Past(at=ago(40)), Past(at=ago(39)), Past(at=ago(38), before=timedelta(0))])
    for blocks, goes, says in (
        ("update media set deleted_at = null where generation_id = %s", None, "a file of it is not deleted yet"),
        ("update generations set request = '{}' where id = %s", None, "what it was asked for is still kept"),
        (
            "insert into events (workspace_id, generation_id, type, payload)"
            " select workspace_id, id, 'generation.completed', '{}' from generations where id = %s",
            "delete from events where generation_id = %s",
            "an event of it is still kept",
        ),
        (
            "insert into idempotency_keys (workspace_id, key, body_sha256, generation_id)"
            " select workspace_id, 'k', '', id from generations where id = %s",
            "delete from idempotency_keys where generation_id = %s",
            "an idempotency key of it is still kept",
        ),
        ("update generations set finished_at = now() where id = %s", None, None),
    ):
        saved = world.sql("select finished_at from generations where id = %s", ids[1])[0][0]
        world.sql(blocks, ids[1])
        done = await world.archive()
        assert done.stopped_by == (None if says is None else f"{ids[1]}: {says}")
        assert world.sql("select id from generations order by id") == [(ids[1],), (ids[2],)]
        if goes:
            world.sql(goes, ids[1])
        else:
            world.sql("update media set deleted_at = deletes_at where generation_id = %s", ids[1])
            world.sql("update generations set request = null, finished_at = %s where id = %s", saved, ids[1])
    await world.archived()
    await world.check()


async def test_off_or_not_yet_due_nothing_is_archived(world: World) -> None:
    await world.past(await world.tenant(), [Past(at=ago(31))])
    assert (await world.archived()).segments == 0
    off = msgspec.structs.replace(world.keeping, archive_after_seconds=None)
    with pytest.raises(ConfigurationError, match="SAFELIGHT_ARCHIVE_AFTER"):
        await archiving.archive(off)
