"""Every few seconds: delete what is due. Once a day: look for files without a row, and rows without a file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from procrastinate import App, JobContext

from safelight.jobs.parts import parts_of
from safelight.keeping.expire import sweep
from safelight.keeping.orphans import sweep_orphans

EVERY_TEN_SECONDS = "* * * * * */10"
EVERY_NIGHT = "23 3 * * *"
_OLDER_THAN = timedelta(days=1)


def register(app: App, *, queue: str) -> None:
    due = app.task(name="sweep", queue=queue, queueing_lock="sweep", pass_context=True)(_sweep)
    app.periodic(cron=EVERY_TEN_SECONDS)(due)
    orphans = app.task(name="sweep_orphans", queue=queue, queueing_lock="sweep_orphans", pass_context=True)(_orphans)
    app.periodic(cron=EVERY_NIGHT)(orphans)


async def _sweep(context: JobContext, timestamp: int) -> None:
    await sweep(parts_of(context).keeping)


async def _orphans(context: JobContext, timestamp: int) -> None:
    """The day before yesterday: each day is looked at once, when nothing of it is under way any more."""
    day = datetime.now(UTC) - timedelta(days=2)
    await sweep_orphans(parts_of(context).keeping, day=day, older_than=_OLDER_THAN)
