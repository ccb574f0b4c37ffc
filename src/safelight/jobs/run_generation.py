"""Run one generation, if it is there to be taken."""

from __future__ import annotations

from procrastinate import App, JobContext

from safelight.db.pool import Connection
from safelight.jobs.parts import parts_of

NAME = "run_generation"


async def run_generation(context: JobContext, generation_id: str) -> None:
    await parts_of(context).runner.claim_and_run(generation_id)


async def enqueue(app: App, connection: Connection, generation_id: str, queue: str) -> None:
    """Put the job on the queue, on the caller's transaction."""
    task = app.configure_task(NAME, queue=queue, connection=connection)
    await task.defer_async(generation_id=generation_id)
