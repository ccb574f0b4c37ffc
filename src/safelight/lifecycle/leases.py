"""Keeping alive the leases of what this process runs, and recording how far it is; each in one statement for all."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import msgspec
import structlog

from safelight.db.outage import through_outage
from safelight.db.pool import Database
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.outcomes import Stage
from safelight.lifecycle.claims import Claim
from safelight.telemetry import observe
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

T = TypeVar("T")

_TICK_SECONDS = 1.0
_LEAST_PAUSE_SECONDS = 0.1
_MAX_PLACE = 2**31 - 1
_RENEWALS = 5
"""In the length of a lease: so many in a row may be missed, but for one."""


class LeaseLost(Exception):
    """Somebody else has this generation now; this run may write nothing any more."""


class _Held(msgspec.Struct):
    claim: Claim
    task: asyncio.Task[object]
    cancel_asked: asyncio.Future[None]
    renewed_at: float
    progress: float = 0.0
    stage: Stage | None = None
    place: int | None = None
    recorded: tuple[float, Stage | None, int | None] = (0.0, None, None)
    writes_since: float | None = None

    @property
    def standing(self) -> tuple[float, Stage | None, int | None]:
        return self.progress, self.stage, self.place

    @property
    def has_moved(self) -> bool:
        progress, *where = self.recorded
        return self.progress - progress >= 0.01 or where != [self.stage, self.place]

    def ask_to_cancel(self) -> None:
        if not self.cancel_asked.done():
            self.cancel_asked.set_result(None)


class Leases:
    """Renews every lease each fifth of its length, and stops the run of one that was lost."""

    def __init__(self, db: Database, lease_seconds: int) -> None:
        self._db = db
        self._lease_seconds = lease_seconds
        self._limit_seconds = lease_seconds / 3  # one statement that gets no answer is not to cost the leases
        self._held: dict[str, _Held] = {}
        self._ticking: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def held(self, claim: Claim) -> AsyncIterator[asyncio.Future[None]]:
        """While inside, the lease is kept. Gives the future that is done once a client has asked to cancel.

        If the lease is lost all the same, ``LeaseLost`` comes out.
        """
        task = asyncio.current_task()
        assert task is not None
        held = _Held(claim, task, asyncio.get_running_loop().create_future(), claim.claimed_at)
        if claim.is_cancel_requested:
            held.ask_to_cancel()
        self._held[claim.id] = held
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick(), name="leases")
        try:
            yield held.cancel_asked
        finally:
            if self._held.get(claim.id) is held:
                del self._held[claim.id]

    def check(self, claim: Claim) -> None:
        """Raise ``LeaseLost`` if the lease may have run out by now, as it has in a process that was stopped.

        Asked right before a call that must not be made twice: the row may be another runner's already.
        """
        held = self._held.get(claim.id)
        if held is None or held.claim is not claim or time.monotonic() - held.renewed_at > self._lease_seconds:
            raise LeaseLost

    async def written(self, claim: Claim, write: Callable[[], Awaitable[T]]) -> T:
        """What a write of this run gives, repeated through an outage. Meanwhile ``unwritten_seconds`` tells of it."""
        held = self._held.get(claim.id)
        if held is None:
            return await through_outage(write)
        held.writes_since = time.monotonic()
        try:
            return await through_outage(write)
        finally:
            held.writes_since = None

    def let_go(self, claim: Claim) -> None:
        """Its end is on record: there is no lease left to keep, or to lose."""
        if (held := self._held.get(claim.id)) is not None and held.claim is claim:
            del self._held[claim.id]

    def unwritten_seconds(self, generation_id: str) -> float:
        """How long a run of ours has had something to write that the database has not taken yet."""
        held = self._held.get(generation_id)
        return 0.0 if held is None or held.writes_since is None else time.monotonic() - held.writes_since

    def note_progress(self, generation_id: str, fraction: float) -> None:
        """Remember how far a run is (0 to 1); it is on record within a second."""
        if held := self._held.get(generation_id):
            held.progress = min(1.0, max(0.0, fraction))  # in this order, what is no number is none of the way

    def note_stage(self, generation_id: str, stage: Stage | None, place: int | None) -> None:
        """Remember where a job stands at its backend, and its place in the queue there; on record likewise."""
        if held := self._held.get(generation_id):
            held.stage, held.place = stage, None if place is None else min(max(place, 0), _MAX_PLACE)

    def ask_to_cancel(self, generation_id: str) -> None:
        """Pass a client's wish on to the run, if it is one of ours."""
        if held := self._held.get(generation_id):
            held.ask_to_cancel()

    async def close(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
            self._ticking = None

    async def _tick(self) -> None:
        every = self._lease_seconds / _RENEWALS
        renew_at = time.monotonic() + every
        while True:
            await asyncio.sleep(min(_TICK_SECONDS, max(renew_at - time.monotonic(), _LEAST_PAUSE_SECONDS)))
            try:
                if (now := time.monotonic()) >= renew_at:
                    await self._renew()
                    renew_at = now + every
                await self._record_progress()
            except ServiceUnavailable:
                log.warning("leases not renewed: the database is away")
            except Exception as error:  # without this loop every lease of the process would run out
                log.error("leases not renewed", **without_message(error))

    async def _record_progress(self) -> None:
        moved = [held for held in self._held.values() if held.has_moved]
        if not moved:
            return
        for held in moved:
            held.recorded = held.standing
        params = {
            "ids": [held.claim.id for held in moved],
            "run_tokens": [held.claim.run_token for held in moved],
            "progress": [held.progress for held in moved],
            "stages": [held.stage for held in moved],
            "places": [held.place for held in moved],
        }
        await self._db.run("record_progress", params, limit_seconds=self._limit_seconds)

    async def _renew(self) -> None:
        if not self._held:
            return
        held, now = dict(self._held), time.monotonic()
        params = {
            "ids": list(held),
            "run_tokens": [item.claim.run_token for item in held.values()],
            "lease_seconds": self._lease_seconds,
        }
        kept: dict[str, bool] = dict(
            await self._db.all("renew_leases", params, tuple, limit_seconds=self._limit_seconds)
        )
        for generation_id, item in held.items():
            if self._held.get(generation_id) is not item:
                continue
            if generation_id not in kept:
                if item.writes_since is not None:
                    continue  # its own end may be on record by now: the write tells, as only the live runner's counts
                observe.lost_lease()
                log.warning("lease lost", id=generation_id)
                item.task.cancel()
                continue
            item.renewed_at = now
            if kept[generation_id]:
                item.ask_to_cancel()
