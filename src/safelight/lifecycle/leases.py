"""Keeping alive the leases of what this process runs, all of them in one statement."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import msgspec
import structlog

from safelight.db.pool import Database
from safelight.domain.errors import ServiceUnavailable

log = structlog.get_logger()


class LeaseLost(Exception):
    """Somebody else has this generation now; this run may write nothing any more."""


class _Held(msgspec.Struct):
    run_token: uuid.UUID
    task: asyncio.Task[object]
    progress: float | None = None


class Leases:
    """Renews every lease each third of its length, and cancels the run of one that was lost."""

    def __init__(self, db: Database, lease_seconds: int) -> None:
        self._db = db
        self._lease_seconds = lease_seconds
        self._held: dict[str, _Held] = {}
        self._renewing: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def held(self, generation_id: str, run_token: uuid.UUID) -> AsyncIterator[None]:
        """While inside, the lease is kept, and the current task is cancelled if it is lost all the same."""
        task = asyncio.current_task()
        assert task is not None
        self._held[generation_id] = _Held(run_token, task)
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew_forever(), name="leases")
        try:
            yield
        finally:
            del self._held[generation_id]

    def note_progress(self, generation_id: str, fraction: float) -> None:
        """Remember how far a run is (0 to 1); it is written with the next renewal."""
        if held := self._held.get(generation_id):
            held.progress = max(0.0, min(1.0, fraction))

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewing

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            try:
                await self._renew()
            except ServiceUnavailable:
                log.warning("leases not renewed: the database is away")

    async def _renew(self) -> None:
        if not self._held:
            return
        held = dict(self._held)
        params = {
            "ids": list(held),
            "run_tokens": [item.run_token for item in held.values()],
            "progress": [item.progress for item in held.values()],
            "lease_seconds": self._lease_seconds,
        }
        kept = {row[0] for row in await self._db.all("renew_leases", params, tuple)}
        for generation_id, item in held.items():
            if generation_id not in kept and self._held.get(generation_id) is item:
                log.warning("lease lost", id=generation_id)
                item.task.cancel()
