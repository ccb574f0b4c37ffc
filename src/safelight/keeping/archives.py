"""Reading the archive: its segments, one generation of it, and the proof that its files have what was removed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError, NotFound
from safelight.domain.ids import is_generation_id
from safelight.keeping.archive import alone
from safelight.keeping.segments import (
    ArchivedGeneration,
    BadSegment,
    Header,
    Sums,
    Totals,
    look_at,
    read_header,
    read_segment,
)
from safelight.keeping.services import KeepingServices

_PAGE = 500
_LINES = 1000


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment on record: all generations after one id up to another. ``removed_at``: when their rows were gone."""

    number: int
    after_id: str
    last_id: str
    last_transfer_id: int
    key: str
    size_bytes: int
    sha256: bytes
    previous_sha256: bytes | None
    generations: int
    transfers: int
    media: int
    sums: list[dict[str, int]]
    archived_at: datetime
    removed_at: datetime | None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of the archive, and what is wrong with it, a line each, by the name of the segment.

    ``leftovers``: files that no row names, as an interrupted run leaves them.
    """

    segments: int
    generations: int
    problems: tuple[str, ...]
    leftovers: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


async def list_segments(db: Database) -> AsyncIterator[Segment]:
    """Every segment, oldest first."""
    after = 0
    while page := await db.all("list_archives", {"after": after, "limit": _PAGE}, Segment):
        for segment in page:
            yield segment
        after = page[-1].number


async def find_archived(services: KeepingServices, generation_id: str) -> ArchivedGeneration:
    """A generation of the archive, read from its file. Raises ``NotFound``, and ``BadSegment``."""
    segment = None
    if is_generation_id(generation_id):
        segment = await services.db.one("find_archive_of", {"id": generation_id}, Segment)
    if segment is not None:
        async with _fetched(services, segment) as path:
            found = await asyncio.to_thread(_find_in, path, generation_id)
        if found is not None:
            return found
    raise NotFound(
        "There is no generation with this id in the archive. 'safelight generations show' looks in the tables."
    )


async def prove_archive(services: KeepingServices) -> Proof:
    """Read every file of the archive: whether each is what was written, continues the chain, and adds up to its row;
    and whether all of them add up to what the books take as archived.

    Raises ``ServiceUnavailable`` where the store is away, and ``ConfigurationError`` while somebody is archiving.
    """
    async with alone(services.db) as is_alone:
        if not is_alone:
            raise ConfigurationError("Another process is archiving. Wait until it has ended, and try again.")
        proving = _Proving(services)
        async for segment in list_segments(services.db):
            await proving.prove(segment)
        await proving.compare()
        return Proof(
            segments=proving.segments,
            generations=proving.totals.generations,
            problems=tuple(proving.problems),
            leftovers=tuple(sorted(await proving.leftovers())),
        )


class _Proving:
    """What was seen so far of all segments."""

    def __init__(self, services: KeepingServices) -> None:
        self._services = services
        self._before: Segment | None = None
        self._keys: set[str] = set()
        self._is_all_read = True
        self.segments = 0
        self.totals = Totals()
        self.problems: list[str] = []

    async def prove(self, segment: Segment) -> None:
        self.segments += 1
        self._keys.add(segment.key)
        for wrong in self._broken_chain(segment):
            self._tell(segment, wrong)
        try:
            async with _fetched(self._services, segment) as path:
                await self._prove_file(segment, path)
        except BadSegment as error:
            self._is_all_read = False
            self._tell(segment, error.message)
        self._before = segment

    def _tell(self, segment: Segment, wrong: str) -> None:
        self.problems.append(f"segment {segment.number} ({segment.key}): {wrong}")

    def _broken_chain(self, segment: Segment) -> Iterator[str]:
        before = self._before
        if segment.number != (before.number if before else 0) + 1:
            yield "one before it is missing from the database"
        elif segment.after_id != (before.last_id if before else ""):
            yield "it does not begin where the one before it ends"
        elif segment.previous_sha256 != (before.sha256 if before else None):
            yield "it does not continue the one before it"

    async def _prove_file(self, segment: Segment, path: Path) -> None:
        header = await asyncio.to_thread(read_header, path)
        for name, wrong in _differences(header, segment):
            self._tell(segment, f"its file says {name} {wrong[0]}, and its row {wrong[1]}")
        left: set[str] = set()
        if segment.removed_at is None:
            params = {"after": segment.after_id, "last": segment.last_id}
            left = {row[0] for row in await self._services.db.all("list_left", params, tuple)}
        counted = Totals()
        lines, last = read_segment(path), segment.after_id
        while page := await asyncio.to_thread(lambda: list(islice(lines, _LINES))):
            for made in page:
                if not last < made.id <= segment.last_id:
                    self._tell(segment, f"{made.id} is not in its place")
                if any(_sum(each) for each in made.transfers):
                    self._tell(segment, f"the transfers of {made.id} do not sum to zero")
                last = made.id
                counted.add(made)
                self.totals.add(made, is_removed=made.id not in left)
        found = (counted.generations, counted.transfers, counted.media, counted.last_transfer_id, counted.all_sums())
        told = (header.generations, header.transfers, header.media, header.last_transfer_id, header.sums)
        if found != told:
            self._tell(segment, "its lines do not add up to what it says")

    async def compare(self) -> None:
        """All files together beside what the books take as archived. A file that could not be read is told already."""
        if not self._is_all_read:
            return
        ledger: dict[Any, list[int]] = {
            (row.workspace_id, row.date): [
                row.transfers,
                *(int(each) for each in (row.available_nanos, row.held_nanos, row.revenue_nanos)),
            ]
            for row in await self._services.db.all("list_archived_ledger", {}, _LedgerRow)
        }
        usage: dict[Any, list[int]] = {
            (row.workspace_id, row.date, row.type, row.model, row.api_key_id): [
                row.completed,
                row.charged_thousandths,
                row.cost_nanos,
                row.failed,
            ]
            for row in await self._services.db.all("list_archived_usage", {}, _UsageRow)
        }
        self._compare("archived_ledger", ledger, dict(self.totals.ledger))
        self._compare("archived_usage", usage, dict(self.totals.usage))

    def _compare(self, table: str, recorded: dict[Any, list[int]], read: dict[Any, list[int]]) -> None:
        for key in sorted(recorded.keys() | read.keys(), key=str):
            if recorded.get(key) != read.get(key):
                words = " ".join(str(part) for part in key)
                self.problems.append(
                    f"{table} of workspace {words} is {recorded.get(key)}, and the files add up to {read.get(key)}"
                )

    async def leftovers(self) -> list[str]:
        """Files below ``archive/`` that no row names."""
        return [facts.key async for facts in self._services.store.walk("archive") if facts.key not in self._keys]


class _LedgerRow(msgspec.Struct, frozen=True):
    workspace_id: int
    date: date
    transfers: int
    available_nanos: Decimal
    held_nanos: Decimal
    revenue_nanos: Decimal


class _UsageRow(msgspec.Struct, frozen=True):
    workspace_id: int
    date: date
    type: str
    model: str
    api_key_id: int | None
    completed: int
    charged_thousandths: int
    cost_nanos: int
    failed: int


def _differences(header: Header, segment: Segment) -> Iterator[tuple[str, tuple[object, object]]]:
    for name in ("number", "after_id", "last_id", "last_transfer_id", "generations", "transfers", "media"):
        told, recorded = getattr(header, name), getattr(segment, name)
        if told != recorded:
            yield name, (told, recorded)
    previous = segment.previous_sha256.hex() if segment.previous_sha256 else None
    if header.previous_sha256 != previous:
        yield "previous_sha256", (header.previous_sha256, previous)
    if header.sums != tuple(Sums(**each) for each in segment.sums):
        yield "sums", ("other sums", "others")


def _sum(transfer: Any) -> int:
    return int(transfer.available_nanos + transfer.held_nanos + transfer.revenue_nanos)


def _find_in(path: Path, generation_id: str) -> ArchivedGeneration | None:
    return next((made for made in read_segment(path) if made.id == generation_id), None)


@asynccontextmanager
async def _fetched(services: KeepingServices, segment: Segment) -> AsyncIterator[Path]:
    """The segment's file on this machine's disk, as it was written. Raises ``BadSegment`` where it is not."""
    path = services.work_dir / f"archive-{secrets.token_hex(8)}.gz"
    try:
        await _fetch(services, segment, path)
        written = await asyncio.to_thread(look_at, path)
        if written.size_bytes != segment.size_bytes:
            raise BadSegment(f"it has {written.size_bytes} bytes, and {segment.size_bytes} were written")
        if written.sha256 != segment.sha256:
            raise BadSegment("it is not what was written: its SHA-256 is another")
        yield path
    finally:
        path.unlink(missing_ok=True)


async def _fetch(services: KeepingServices, segment: Segment, path: Path) -> None:
    """As many bytes as there are, up to one more than were written."""
    folder = segment.key.rpartition("/")[0]
    sizes = {facts.key: facts.size_bytes async for facts in services.store.walk(folder)}
    size_bytes = sizes.get(segment.key)
    if size_bytes is None:
        raise BadSegment("it is missing from the media store")
    with path.open("wb") as file:
        async for chunk in services.store.stream(segment.key, 0, size_bytes):
            file.write(chunk)
