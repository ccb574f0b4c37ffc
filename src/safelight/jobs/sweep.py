"""Every few seconds: delete what is due, and go on with what is being erased.

Once a day: look for files without a row, and rows without a file.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from procrastinate import App, JobContext

from safelight.jobs.parts import parts_of
from safelight.keeping.erase import continue_erasures
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
    keeping = parts_of(context).keeping
    await sweep(keeping)
    await continue_erasures(keeping)


async def _orphans(context: JobContext, timestamp: int) -> None:
    """The day before yesterday: each day is looked at once, when nothing of it is under way any more."""
    day = datetime.now(UTC) - timedelta(days=2)
    await sweep_orphans(parts_of(context).keeping, day=day, older_than=_OLDER_THAN)
