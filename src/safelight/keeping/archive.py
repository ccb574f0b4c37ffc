"""Moving what ended long ago out of the tables into segments of the archive, one after the other, oldest first.

1. find     the next run of ids of which nothing is needed any more: ended, files and prompt deleted, settled and closed
2. write    those rows, as one snapshot has them, to a file of this machine
3. store    that file in the media store, and read it back
4. record   its row in ``archives``: a statement that adds the rows up again and compares
5. remove   the rows, a batch at a time, which the ledger's triggers allow of what is on record alone, and add up

A row is in the tables until its segment is stored, read back and on record. Killed anywhere, the next run goes on: what
is on record and not removed is removed first. The chain admits one successor to a segment, so that two at once, if the
lock that keeps them apart is lost, cannot both put theirs on record.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import msgspec
import structlog
from psycopg.types.json import Jsonb

from safelight.db.pool import Connection, Database, every, one
from safelight.domain.errors import ConfigurationError, ServiceUnavailable
from safelight.domain.ids import first_id_at, made_at
from safelight.domain.ports import BlobStore
from safelight.keeping.segments import Header, SegmentWriter, Sums, Written
from safelight.keeping.services import KeepingServices
from safelight.node.killpoints import killpoint

log = structlog.get_logger()

SEGMENT_GENERATIONS = 100_000
"""The most in one segment. It ends with its UTC day at the latest."""
_MIME_TYPE = "application/gzip"
_WRITING = "archiving-"
_PAGE = 1000
_BATCH = 1000
_NOT_YET = "recent"
_IN_THE_WAY = {
    "under way": "it is under way",
    "request": "what it was asked for is still kept",
    "file": "a file of it is not deleted yet",
    "event": "an event of it is still kept",
    "idempotency key": "an idempotency key of it is still kept",
    "books": "the books are not closed up to it, as they are by workers while they balance",
}


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. ``stopped_by``: in words, why it did not go further up to what is due; None: it did."""

    segments: int = 0
    generations: int = 0
    removed: int = 0
    stopped_by: str | None = None


class _Newest(msgspec.Struct, frozen=True):
    number: int
    last_id: str
    sha256: bytes


class _Found(msgspec.Struct, frozen=True):
    last_id: str | None
    blocked_id: str | None
    in_the_way: str | None


class _Facts(msgspec.Struct, frozen=True):
    generations: int
    transfers: int
    media: int
    last_transfer_id: int
    sums: list[dict[str, int]]


class _Batch(msgspec.Struct, frozen=True):
    generations: int
    last_id: str | None
    is_closed: bool


class _ToRemove(msgspec.Struct, frozen=True):
    number: int
    key: str
    size_bytes: int
    sha256: bytes


async def archive(services: KeepingServices, *, most: int = SEGMENT_GENERATIONS) -> Archived:
    """Archive what is due, all of it, in segments of ``most`` generations; what an earlier run left is removed first.

    Raises ``ConfigurationError`` where archiving is off, and ``ServiceUnavailable`` where the store is away: then all
    stays as it is.
    """
    if services.archive_after_seconds is None:
        raise ConfigurationError("Nothing is archived. Set SAFELIGHT_ARCHIVE_AFTER, to 400d for example.")
    async with alone(services.db) as is_alone:
        if not is_alone:
            return Archived(stopped_by="another process is archiving")
        run = _Run(services, services.archive_after_seconds, most)
        return await run.all()


@contextlib.asynccontextmanager
async def alone(db: Database) -> AsyncIterator[bool]:
    """Keep others from archiving; False where another does already."""
    async with db.connection() as connection:
        row = await one(connection, "try_to_archive", {}, tuple)
        if row is None or not row[0]:
            yield False
            return
        try:
            yield True
        finally:
            if not connection.closed:
                await one(connection, "stop_archiving", {}, tuple)


class _Run:
    """One run over all that is due."""

    def __init__(self, services: KeepingServices, after_seconds: int, most: int) -> None:
        self._services, self._db, self._store = services, services.db, services.store
        self._after = timedelta(seconds=after_seconds)
        self._most = most
        self._segments = self._generations = self._removed = 0

    async def all(self) -> Archived:
        await asyncio.to_thread(_remove_leftovers, self._services.work_dir)
        stopped_by = await self._remove_all()
        while stopped_by is None and await self._has_due():
            found = await self._find()
            if found.last_id is not None:
                stopped_by = await self._archive(found.last_id) or await self._remove_all()
            elif found.blocked_id is not None and found.in_the_way != _NOT_YET:
                stopped_by = f"{found.blocked_id}: {_IN_THE_WAY.get(found.in_the_way or '', found.in_the_way)}"
            else:  # the first ended later than its id says: it is due another day
                break
        if self._generations or self._removed:
            log.info("generations archived", segments=self._segments, count=self._generations, removed=self._removed)
        return Archived(
            segments=self._segments, generations=self._generations, removed=self._removed, stopped_by=stopped_by
        )

    async def _has_due(self) -> bool:
        """Look at the next generation there is, and note how far its segment may reach: to the end of its day."""
        row = await self._db.one("database_time", {}, tuple)
        assert row is not None
        self._ended_before = datetime.fromtimestamp(row[0], UTC) - self._after
        self._newest = await self._db.one("find_newest_archive", {}, _Newest)
        self._after_id = self._newest.last_id if self._newest else ""
        first = await self._db.one("find_first_after", {"after": self._after_id}, tuple)
        due_before = first_id_at(datetime.combine(self._ended_before.date(), time(), UTC))
        if first is None or first[0] >= due_before:
            return False
        next_day = datetime.combine(made_at(first[0]).date() + timedelta(days=1), time(), UTC)
        self._below = min(due_before, first_id_at(next_day))
        return True

    async def _find(self) -> _Found:
        params = {
            "after": self._after_id,
            "below": self._below,
            "most": self._most,
            "ended_before": self._ended_before,
        }
        found = await self._db.one("find_segment", params, _Found)
        assert found is not None
        return found

    async def _archive(self, last_id: str) -> str | None:
        """Write, store and record a segment; why that could not be, in words."""
        path = self._services.work_dir / f"{_WRITING}{secrets.token_hex(8)}.gz"
        try:
            header, written = await self._write(path, last_id)
            killpoint("archive-after-write")
            key = segment_key(header, written)
            await self._store.put(key, path, mime_type=_MIME_TYPE)
        finally:
            path.unlink(missing_ok=True)
        killpoint("archive-after-store")
        await check_stored(self._store, key, written)
        if not await self._record(header, key, written):
            return f"what is up to {last_id} changed while it was written"
        killpoint("archive-after-commit")
        self._segments += 1
        self._generations += header.generations
        return None

    async def _write(self, path: Path, last_id: str) -> tuple[Header, Written]:
        """All in one snapshot."""
        params = {"after": self._after_id, "last": last_id, "limit": _PAGE}
        async with self._db.snapshot() as connection:
            facts = await one(connection, "sum_segment", params, _Facts)
            assert facts is not None
            header = Header(
                number=self._newest.number + 1 if self._newest else 1,
                previous_sha256=self._newest.sha256.hex() if self._newest else None,
                after_id=self._after_id,
                last_id=last_id,
                generations=facts.generations,
                transfers=facts.transfers,
                media=facts.media,
                last_transfer_id=facts.last_transfer_id,
                sums=tuple(Sums(**each) for each in facts.sums),
            )
            writer = SegmentWriter(path, header)
            try:
                await _write_pages(connection, writer, params)
            finally:
                written = await asyncio.to_thread(writer.close)
        return header, written

    async def _record(self, header: Header, key: str, written: Written) -> bool:
        params = {
            **{name: getattr(header, name) for name in ("number", "after_id", "last_id", "last_transfer_id")},
            **{name: getattr(header, name) for name in ("generations", "transfers", "media")},
            "key": key,
            "size_bytes": written.size_bytes,
            "sha256": written.sha256,
            "previous_sha256": self._newest.sha256 if self._newest else None,
            "sums": Jsonb(msgspec.to_builtins(header.sums)),
        }
        return await self._db.one("record_archive", params, tuple) is not None

    async def _remove_all(self) -> str | None:
        """Remove what is on record and still in the tables; why that could not be, in words."""
        for segment in await self._db.all("list_archives_to_remove", {}, _ToRemove):
            await check_stored(self._store, segment.key, Written(size_bytes=segment.size_bytes, sha256=segment.sha256))
            after = ""
            while True:
                params = {"number": segment.number, "after": after, "limit": _BATCH}
                batch = await self._db.one("remove_archived", params, _Batch)
                assert batch is not None
                killpoint("archive-after-batch")
                if not batch.is_closed:
                    return f"segment {segment.number}: the books are open again, as they did not balance"
                if batch.last_id is None:
                    break
                after = batch.last_id
                self._removed += batch.generations
            await self._db.run("end_archive", {"number": segment.number})
        return None


def _remove_leftovers(folder: Path) -> None:
    """What a run that was killed had begun to write."""
    for path in folder.glob(f"{_WRITING}*"):
        path.unlink(missing_ok=True)


async def _write_pages(connection: Connection, writer: SegmentWriter, params: dict[str, object]) -> None:
    after = params["after"]
    while rows := await every(connection, "list_segment", {**params, "after": after}, tuple):
        await asyncio.to_thread(writer.write, [row for _, row in rows])
        after = rows[-1][0]


def segment_key(header: Header, written: Written) -> str:
    """``archive/2026/11/22-000017-1f0c9a3e5b7d2468.jsonl.gz``

    Its hash is in it: whoever was presumed dead and comes back never writes over another's file.
    """
    day = made_at(header.last_id)
    return f"archive/{day:%Y/%m/%d}-{header.number:06}-{written.sha256.hex()[:16]}.jsonl.gz"


async def check_stored(store: BlobStore, key: str, written: Written) -> None:
    """Read a segment from the store. Raises ``ServiceUnavailable`` unless it is what was written."""
    digest = hashlib.sha256()
    try:
        async for chunk in store.stream(key, 0, written.size_bytes):
            digest.update(chunk)
    except FileNotFoundError:
        raise ServiceUnavailable(detail=f"{key} is not in the media store: nothing of it is removed.") from None
    if digest.digest() != written.sha256:
        raise ServiceUnavailable(detail=f"{key} in the media store is not what was written: nothing of it is removed.")
