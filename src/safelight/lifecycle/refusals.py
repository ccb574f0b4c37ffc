"""Requests that were refused before anything was held, counted by day and reason.

Only counts are kept: no row names a request. They gather in memory and are written together, at most once a second, so
that a flood of refusals is no flood of writes. A crash loses what was counted since the last write, a second's worth as
long as the database is there; and where the answer to a write is lost with its connection, those counts may be added
twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime

import msgspec
import structlog

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

log = structlog.get_logger()

COUNTED: tuple[type[SafelightError], ...] = (QuotaExceeded, ContentPolicyViolation, RateLimited)

_PAUSE_SECONDS = 1.0
_CLOSING_SECONDS = 2.0
_MOST_ROWS = 10_000


class _Row(msgspec.Struct, frozen=True):
    """What is counted apart, by the names of the statement's parameters."""

    workspace_id: int
    date: date
    type: str
    model: str
    api_key_id: int | None
    reason: str


def _place(row: _Row) -> tuple[int, date, str, str, int, str]:
    return (row.workspace_id, row.date, row.type, row.model, row.api_key_id or 0, row.reason)


class Refusals:
    """The counts of one process. ``close`` writes what is left."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._counts: Counter[_Row] = Counter()
        self._writing: Counter[_Row] = Counter()
        self._closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def count(self, sender: Principal, request: Request, refusal: SafelightError) -> None:
        """Count a refusal with one of the ``COUNTED`` errors. The request's model must be one of the catalog's."""
        row = _Row(
            workspace_id=sender.workspace_id,
            date=datetime.now(UTC).date(),
            type=str(request.type),
            model=request.model,
            api_key_id=sender.key_id,
            reason=refusal.code,
        )
        if row not in self._counts and len(self._counts) + len(self._writing) >= _MOST_ROWS:
            return  # the database is away, and very many are refused: only the rows there are go on counting
        self._counts[row] += 1
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
        if self._counts:
            log.warning("refusals were not counted", count=self._counts.total())

    async def _write_all(self) -> None:
        """Write once a second until nothing is left; when closing once more, and at once."""
        try:
            while self._counts:
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
        self._writing, self._counts = self._counts, Counter()
        rows = sorted(
            self._writing, key=_place
        )  # in one order everywhere: two processes that write the same rows wait in turn
        columns = {name: [getattr(row, name) for row in rows] for name in _Row.__struct_fields__}
        try:
            await self._db.run("count_refusals", {**columns, "count": [self._writing[row] for row in rows]})
        except ServiceUnavailable:
            self._counts += self._writing
        except asyncio.CancelledError:
            self._counts += self._writing
            raise
        except Exception:
            log.exception("refusals were not counted", count=self._writing.total())
        finally:
            self._writing = Counter()
