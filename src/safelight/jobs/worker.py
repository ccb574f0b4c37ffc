"""Working on the queues, one Procrastinate worker for each, started again when it fails.

A Procrastinate worker gives up when the database goes away. What it was waiting for goes on without it: a job here only
waits for a run that is a task of its own, and the generation's row says who runs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence

import msgspec
import structlog
from procrastinate import App

from safelight.db.pool import Database
from safelight.domain.errors import ServiceUnavailable
from safelight.jobs.parts import WorkerParts
from safelight.lifecycle.reconcile import reconcile
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

_PAUSE_SECONDS = 0.5
_CANCELLATIONS, _CANCELLATION_SECONDS = 3, 2.0


class Queue(msgspec.Struct, frozen=True):
    """A queue of an app, and how many of its jobs one worker takes at once.

    ``fetch_seconds`` is how long it goes unasked when a wake-up was missed: Procrastinate forgets one that comes while
    it is asking (docs/decisions/0004), so this bounds what that costs.
    """

    app: App
    name: str
    concurrency: int
    fetch_seconds: float = 0.25


@contextlib.asynccontextmanager
async def opened(app: App, db: Database, stop: asyncio.Event) -> AsyncIterator[bool]:
    """The app, open; False if the stop came first, as a database that is away is waited for."""
    opening, stopping = asyncio.create_task(_open(app, db)), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((opening, stopping), return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            opening.result()
        yield opening.done()
    finally:
        opening.cancel()
        stopping.cancel()
        await asyncio.gather(opening, stopping, return_exceptions=True)
        await app.close_async()


async def _open(app: App, db: Database) -> None:
    while True:
        try:
            await db.one("database_time", {}, tuple)
            break
        except ServiceUnavailable:
            await asyncio.sleep(_PAUSE_SECONDS)
    await app.open_async()


async def work(queues: Sequence[Queue], parts: WorkerParts, stop: asyncio.Event, *, heartbeat_seconds: float) -> None:
    """Work on the queues until ``stop`` is set. Jobs still waiting for their runs are given up then, not the runs.

    A worker that has not been heard of for three heartbeats counts as dead.
    """
    workers = [
        asyncio.create_task(_serve(queue, parts.as_context(), stop, heartbeat_seconds), name=f"queue {queue.name}")
        for queue in queues
    ]
    with contextlib.suppress(ServiceUnavailable):
        await reconcile(parts.running)  # what an earlier worker left is not to wait for the clock
    await stop.wait()
    await _cancel(workers)


async def _cancel(workers: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until each has ended: a database pool that is about to hand out a connection may lose a cancellation."""
    pending: set[asyncio.Task[None]] = set(workers)
    for _ in range(_CANCELLATIONS):
        for worker in pending:
            worker.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCELLATION_SECONDS)
        if not pending:
            return


async def _serve(queue: Queue, context: dict[str, object], stop: asyncio.Event, heartbeat_seconds: float) -> None:
    while not stop.is_set():
        try:
            await queue.app.run_worker_async(
                queues=[queue.name],
                concurrency=queue.concurrency,
                name=queue.name,
                fetch_job_polling_interval=queue.fetch_seconds,
                install_signal_handlers=False,
                delete_jobs="always",
                additional_context=context,
                shutdown_graceful_timeout=0,
                update_heartbeat_interval=heartbeat_seconds,
                stalled_worker_timeout=3 * heartbeat_seconds,
            )
        except Exception as error:
            log.warning("queue worker failed and is started again", queue=queue.name, **without_message(error))
        if not stop.is_set():
            await asyncio.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  (not a secret)
