"""Every night: move what ended long ago into the archive, where that is on."""

from __future__ import annotations

import structlog
from procrastinate import App, JobContext

from safelight.jobs.parts import parts_of
from safelight.keeping.archive import archive

log = structlog.get_logger()

NAME = "archive"
EVERY_NIGHT = "7 2 * * *"


def register(app: App, *, queue: str) -> None:
    task = app.task(name=NAME, queue=queue, queueing_lock=NAME, pass_context=True)(_archive)
    app.periodic(cron=EVERY_NIGHT)(task)


async def _archive(context: JobContext, timestamp: int) -> None:
    keeping = parts_of(context).keeping
    if keeping.archive_after_seconds is None:
        return
    done = await archive(keeping)
    if done.stopped_by is not None:
        log.warning("archiving does not go on", reason=done.stopped_by, remedy="run 'safelight archive run'")
