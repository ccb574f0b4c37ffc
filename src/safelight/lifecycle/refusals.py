"""Requests that were refused before anything was held: counted by day and reason, and for some weeks told one by one.

They gather in memory and are written together, at most once a second, so that a flood of refusals is no flood of
writes, and alike ones of one write are one row, so that it is no flood of rows. Nothing of what was asked for is kept
but the model. A crash loses what was counted since the last write, a second's worth as long as the database is there;
and where the answer to a write is lost with its connection, those counts may be added twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime

import msgspec
import structlog
from psycopg.types.json import Jsonb

from safelight.db.pool import Database
from safelight.domain.errors import (
    ContentPolicyViolation,
    QuotaExceeded,
    RateLimited,
    SafelightError,
    ServiceUnavailable,
)
from safelight.domain.request import Request
from safelight.domain.scope import Principal
from safelight.domain.text import first_bytes

log = structlog.get_logger()

COUNTED: tuple[type[SafelightError], ...] = (QuotaExceeded, ContentPolicyViolation, RateLimited)

_PAUSE_SECONDS = 1.0
_CLOSING_SECONDS = 2.0
_MOST_ROWS = 10_000
_MOST_REQUESTS = 100
"""Of one workspace, in one write. What is more is counted alone."""
_LONGEST_BYTES = 500
KEEP_DAYS = 30
"""How long a refused request is on record."""


class _Row(msgspec.Struct, frozen=True):
    """What is counted apart, by the names of the statement's parameters."""

    workspace_id: int
    date: date
    type: str
    model: str
    api_key_id: int | None
    reason: str


class _Request(msgspec.Struct, frozen=True):
    """What alike requests have in common, by the names of the columns."""

    workspace_id: int
    type: str
    model: str
    api_key_id: int | None
    way_in: str | None
    reason: str
    message: str
    param: str | None


def _place(row: _Row) -> tuple[int, date, str, str, int, str]:
    return (row.workspace_id, row.date, row.type, row.model, row.api_key_id or 0, row.reason)


class _Batch:
    """What one write adds: counts, and the requests behind them."""

    def __init__(self) -> None:
        self.counts: Counter[_Row] = Counter()
        self.requests: Counter[_Request] = Counter()
        self._kinds: Counter[int] = Counter()  # of requests, by workspace

    def add(self, row: _Row, request: _Request, count: int = 1) -> None:
        self.counts[row] += count
        self._add_request(request, count)

    def _add_request(self, request: _Request, count: int) -> None:
        if request not in self.requests:
            if self._kinds[request.workspace_id] >= _MOST_REQUESTS or len(self.requests) >= _MOST_ROWS:
                return
            self._kinds[request.workspace_id] += 1
        self.requests[request] += count

    def take_back(self, other: _Batch) -> None:
        """Add what another batch could not write."""
        self.counts += other.counts
        for request, count in other.requests.items():
            self._add_request(request, count)

    def params(self) -> dict[str, object]:
        """Of the statement ``count_refusals``: rows in one order everywhere, as two processes that write the same ones
        wait in turn."""
        rows = sorted(self.counts, key=_place)
        columns = {name: [getattr(row, name) for row in rows] for name in _Row.__struct_fields__}
        requests = [{**msgspec.structs.asdict(each), "count": count} for each, count in self.requests.items()]
        return {**columns, "count": [self.counts[row] for row in rows], "requests": Jsonb(requests)}


class Refusals:
    """The counts of one process. ``close`` writes what is left."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._gathered = _Batch()
        self._writing = _Batch()
        self._closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def count(self, sender: Principal, request: Request, refusal: SafelightError, *, way_in: str | None = None) -> None:
        """Count a refusal with one of the ``COUNTED`` errors. The request's model must be one of the catalog's."""
        row = _Row(
            workspace_id=sender.workspace_id,
            date=datetime.now(UTC).date(),
            type=str(request.type),
            model=request.model,
            api_key_id=sender.key_id,
            reason=refusal.code,
        )
        counts = self._gathered.counts
        if row not in counts and len(counts) + len(self._writing.counts) >= _MOST_ROWS:
            return  # the database is away, and very many are refused: only the rows there are go on counting
        alike = _Request(
            workspace_id=row.workspace_id,
            type=row.type,
            model=row.model,
            api_key_id=row.api_key_id,
            way_in=way_in,
            reason=row.reason,
            message=first_bytes(refusal.message, _LONGEST_BYTES),
            param=refusal.param,
        )
        self._gathered.add(row, alike)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="refusals")

    async def close(self) -> None:
        """Write what is left, unless the database takes too long; then it is lost, and the log says how much."""
        self._closing.set()
        writer = self._writer
        if writer is not None:
            await asyncio.wait([writer], timeout=_CLOSING_SECONDS)
            writer.cancel()
            await asyncio.wait([writer])
        if self._gathered.counts:
            log.warning("refusals were not counted", count=self._gathered.counts.total())

    async def _write_all(self) -> None:
        """Write once a second until nothing is left; when closing once more, and at once."""
        try:
            while self._gathered.counts:
                await self._pause()
                is_last = self._closing.is_set()
                await self._write()
                if is_last:
                    return
        finally:
            self._writer = None

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PAUSE_SECONDS):
                await self._closing.wait()

    async def _write(self) -> None:
        self._writing, self._gathered = self._gathered, _Batch()
        try:
            await self._db.run("count_refusals", self._writing.params())
        except ServiceUnavailable:
            self._gathered.take_back(self._writing)
        except asyncio.CancelledError:
            self._gathered.take_back(self._writing)
            raise
        except Exception:
            log.exception("refusals were not counted", count=self._writing.counts.total())
        finally:
            self._writing = _Batch()


async def expire_refused(db: Database) -> int:
    """Forget a batch of requests whose refusal is old; its size. Their counts stay."""
    return await db.run("expire_refused_requests", {"days": KEEP_DAYS})
