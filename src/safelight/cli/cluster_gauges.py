"""What the database tells of all nodes together, asked at most once in so many seconds, whoever asks how often."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import structlog

from safelight.accounts.books import last_check
from safelight.db.pool import Database
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.generations import GenerationType, State
from safelight.domain.scope import OPERATOR
from safelight.keeping.inventory import count_overdue_files, stored_bytes
from safelight.lifecycle.delivery_views import backlog
from safelight.lifecycle.processes import list_processes
from safelight.lifecycle.queue_views import count_under_way, oldest_waiting
from safelight.telemetry import metrics
from safelight.telemetry.gathering import Values
from safelight.telemetry.metrics import Declaration

log = structlog.get_logger()

QUEUES = ("local", "remote", "upkeep", "reconcile")
_FRESH_SECONDS = 5.0
_PATIENCE_SECONDS = 3.0


class ClusterGauges:
    """The gauges of one database."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._asking = asyncio.Lock()
        self._values: Values = {}
        self._asked_at = float("-inf")

    async def values(self) -> Values:
        """The newest values. While the database is away, only that it is."""
        async with self._asking:
            if time.monotonic() - self._asked_at > _FRESH_SECONDS:
                self._values = await self._asked()
                self._asked_at = time.monotonic()
        return self._values

    async def _asked(self) -> Values:
        found = _Values()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._ask(found)
        except (ServiceUnavailable, TimeoutError):
            found = _Values()
            found.set(metrics.DATABASE_UP, 0)
        return found.values

    async def _ask(self, found: _Values) -> None:
        db, held_nanos = self._db, 0
        for type_ in GenerationType:
            for state in (State.QUEUED, State.RUNNING, State.UNKNOWN):
                found.set(metrics.GENERATIONS, 0, type_, state)
        for each in await count_under_way(OPERATOR, db):
            found.set(metrics.GENERATIONS, each.generations, each.type, each.state)
            held_nanos += each.held_nanos
        found.set(metrics.MONEY_HELD, held_nanos)
        for queue, seconds in (await oldest_waiting(OPERATOR, db, QUEUES)).items():
            found.set(metrics.QUEUE_OLDEST, seconds, queue)
        processes = await list_processes(OPERATOR, db)
        found.set(metrics.WORKERS, sum(each.kind == "worker" and each.is_present for each in processes))
        books = await last_check(OPERATOR, db)
        if books is not None:
            found.set(metrics.BOOKS_OK, not books.problems)
            found.set(metrics.BOOKS_CHECKED, (datetime.now(UTC) - books.checked_at).total_seconds())
        found.set(metrics.STORAGE_BYTES, await stored_bytes(OPERATOR, db))
        found.set(metrics.DELETIONS_OVERDUE, await count_overdue_files(OPERATOR, db))
        webhooks = await backlog(OPERATOR, db)
        found.set(metrics.WEBHOOK_OLDEST, webhooks.oldest_seconds)
        found.set(metrics.WEBHOOKS_DISABLED, webhooks.disabled)
        found.set(metrics.DATABASE_UP, 1)


class _Values:
    def __init__(self) -> None:
        self.values: Values = {}

    def set(self, gauge: Declaration, value: float, *labels: str) -> None:
        self.values[gauge.name, tuple(zip(gauge.labels, map(str, labels), strict=True))] = float(value)
