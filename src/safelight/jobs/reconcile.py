"""Every few seconds: find generations that lost their runner, and give them a new one; forget jobs of dead workers."""

from __future__ import annotations

import contextlib
from typing import Any

from procrastinate import App, JobContext
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status
from procrastinate.tasks import Task

from safelight.jobs.parts import parts_of
from safelight.lifecycle.reconcile import reconcile

NAME = "reconcile"
EVERY_TWO_SECONDS = "* * * * * */2"


def register(app: App, *, queue: str) -> None:
    app.periodic(cron=EVERY_TWO_SECONDS)(add(app, queue=queue))


def add(app: App, *, queue: str) -> Task[..., Any, Any]:
    """Let the app run the job, though not by the clock."""
    return app.task(name=NAME, queue=queue, queueing_lock=NAME, pass_context=True)(_reconcile)


async def _reconcile(context: JobContext, timestamp: int) -> None:
    services = parts_of(context).running
    await reconcile(services)
    await _forget_stalled(context.app, heartbeat_seconds(services.limits.lease_seconds))


def heartbeat_seconds(lease_seconds: int) -> float:
    """How often a worker tells that it lives: each third of a lease, but no more than every three seconds."""
    return max(lease_seconds / 3, 3.0)


async def _forget_stalled(app: App, heartbeat: float) -> None:
    """Delete the jobs that dead workers had in hand. Their generations have been seen to: the rows tell which."""
    manager = app.job_manager
    await manager.prune_stalled_workers(3 * heartbeat)
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=3 * heartbeat):
        with contextlib.suppress(ConnectorException):  # another worker was quicker
            await manager.finish_job(job, Status.FAILED, delete_job=True)
