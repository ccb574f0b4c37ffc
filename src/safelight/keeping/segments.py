"""Segments of the archive: files of generations that have ended, with their money and the receipts of their files.

A segment is gzip of lines of JSON: first a ``Header``, then an ``ArchivedGeneration`` a line in the order of their ids.
It says itself what it is, and names the segment before it by its SHA-256, so that the files are a chain without the
database. The same rows make the same bytes. Nothing is in it that erasing a workspace forgets.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import State

FORMAT = "safelight-archive/1"
ABOUT = (
    "Generations of a Safelight installation that have ended, a line each, in the order of their ids, with the records "
    "of their files, which are deleted, and their transfers. Amounts are integers of nano-dollars (10^-9 USD), "
    "charged_thousandths thousandths of billable_unit, times UTC, sha256 lower-case hex. previous_sha256 is that of "
    "the whole file before this one."
)
_LEVEL = 6


class BadSegment(ConfigurationError):
    """A segment of the archive is not what was written."""


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace's generations in a segment add up to; amounts in nano-dollars."""

    workspace_id: int
    generations: int = 0
    charged_nanos: int = 0
    transfers: int = 0
    available_nanos: int = 0
    held_nanos: int = 0
    revenue_nanos: int = 0


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment has: all generations after one id up to another. ``previous_sha256`` is None of the first."""

    format: str = FORMAT
    about: str = ABOUT
    number: int
    previous_sha256: str | None
    after_id: str
    last_id: str
    generations: int
    transfers: int
    media: int
    last_transfer_id: int
    sums: tuple[Sums, ...]


class ArchivedFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the receipt of a file says, and what it was. ``deleted_at``: when its absence was seen."""

    index: int
    mime_type: str
    size_bytes: int
    sha256: str
    width: int
    height: int
    duration_seconds: float | None
    fps: float | None
    has_sound: bool | None
    deletes_at: datetime
    tombstoned_at: datetime | None
    deleted_at: datetime


class ArchivedTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the ledger: it sums to zero."""

    id: int
    kind: str
    available_nanos: int
    held_nanos: int
    revenue_nanos: int
    created_at: datetime


class ArchivedGeneration(msgspec.Struct, frozen=True, kw_only=True):
    """A generation as it stays, without what was asked for and for whom."""

    id: str
    workspace_id: int
    api_key_id: int | None
    type: str
    model: str
    state: str
    error_code: str | None
    way_in: str | None
    remixed_from: str | None
    seed: int | None
    billable_unit: str
    unit_price_nanos: int
    quantity: int
    held_nanos: int
    charged_nanos: int
    charged_thousandths: int | None
    connection: str | None
    upstream_model: str | None
    cost_nanos: int | None
    attempts: int
    tries: int
    is_stored: bool
    retention_seconds: int
    created_at: datetime
    submitted_at: datetime | None
    cancel_requested_at: datetime | None
    deadline: datetime
    finished_at: datetime
    deletes_at: datetime | None
    media: tuple[ArchivedFile, ...]
    transfers: tuple[ArchivedTransfer, ...]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it lies on disk."""

    size_bytes: int
    sha256: bytes


_DECODER = msgspec.json.Decoder(ArchivedGeneration)
_HEADERS = msgspec.json.Decoder(Header)


class SegmentWriter:
    """Writes a segment to a file of this machine. What it is given is read as it will be read again."""

    def __init__(self, path: Path, header: Header) -> None:
        self._file = path.open("wb")
        # Without a name and a time: the same rows are the same bytes.
        self._gzip = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=self._file, mtime=0)
        self._path = path
        self._gzip.write(msgspec.json.encode(header) + b"\n")

    def write(self, rows: Iterable[str]) -> None:
        """Generations as JSON. Raises ``BadSegment`` for one that cannot be read again."""
        try:
            lines = [msgspec.json.encode(_DECODER.decode(row)) + b"\n" for row in rows]
        except msgspec.MsgspecError as error:
            raise BadSegment(f"A generation cannot be archived: {error}.") from None
        self._gzip.write(b"".join(lines))

    def close(self) -> Written:
        self._gzip.close()
        self._file.close()
        return look_at(self._path)


def look_at(path: Path) -> Written:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return Written(size_bytes=path.stat().st_size, sha256=digest.digest())


def read_header(path: Path) -> Header:
    """What a segment says of itself. Raises ``BadSegment``."""
    with path.open("rb") as file:
        return _read_header(next(_lines(file), b""))


def read_segment(path: Path) -> Iterator[ArchivedGeneration]:
    """The generations of a segment. Raises ``BadSegment`` where it is cut off or cannot be read."""
    with path.open("rb") as file:
        lines = _lines(file)
        _read_header(next(lines, b""))
        for line in lines:
            try:
                yield _DECODER.decode(line)
            except msgspec.MsgspecError as error:
                raise BadSegment(f"a line of it cannot be read: {error}") from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as opened:
            yield from opened
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadSegment(f"it cannot be unpacked: {error}") from None


def _read_header(line: bytes) -> Header:
    try:
        header = _HEADERS.decode(line)
    except msgspec.MsgspecError as error:
        raise BadSegment(f"its first line cannot be read: {error}") from None
    if header.format != FORMAT:
        raise BadSegment(f"its format is {header.format}, and this release reads {FORMAT}")
    return header


LedgerKey = tuple[int, date]
UsageKey = tuple[int, date, str, str, int | None]


class Totals:
    """What generations add up to, as the database has it: by workspace, by day of the ledger, and by day of use.

    The lists of ``ledger`` are the number of transfers, and what was available, held and revenue; those of ``usage``
    are completed, charged thousandths, cost in nano-dollars, and failed.
    """

    def __init__(self) -> None:
        self.generations = self.transfers = self.media = self.last_transfer_id = 0
        self.sums: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.ledger: dict[LedgerKey, list[int]] = defaultdict(lambda: [0] * 4)
        self.usage: dict[UsageKey, list[int]] = defaultdict(lambda: [0] * 4)

    def add(self, made: ArchivedGeneration, *, is_removed: bool = True) -> None:
        """Count one in. Of one that is not yet removed only what its segment adds up to."""
        sums = self.sums[made.workspace_id]
        self.generations += 1
        self.media += len(made.media)
        sums["generations"] += 1
        sums["charged_nanos"] += made.charged_nanos
        for each in made.transfers:
            self.transfers += 1
            self.last_transfer_id = max(self.last_transfer_id, each.id)
            amounts = (each.available_nanos, each.held_nanos, each.revenue_nanos)
            for name, amount in zip(
                ("transfers", "available_nanos", "held_nanos", "revenue_nanos"), (1, *amounts), strict=True
            ):
                sums[name] += amount
            if is_removed:
                _add(self.ledger[made.workspace_id, _day(each.created_at)], 1, *amounts)
        if is_removed:
            is_completed = made.state == State.COMPLETED
            key = (made.workspace_id, _day(made.finished_at), made.type, made.model, made.api_key_id)
            charged = (made.charged_thousandths or 0, made.charged_nanos)
            _add(self.usage[key], int(is_completed), *charged, int(not is_completed))

    def all_sums(self) -> tuple[Sums, ...]:
        """Each workspace's, in the order of their numbers."""
        return tuple(Sums(workspace_id=number, **sums) for number, sums in sorted(self.sums.items()))


def _add(totals: list[int], *amounts: int) -> None:
    for place, amount in enumerate(amounts):
        totals[place] += amount


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
