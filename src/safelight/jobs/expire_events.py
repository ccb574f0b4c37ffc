"""Every hour: forget events and deliveries that are old and over."""

from __future__ import annotations

from procrastinate import App, JobContext

from safelight.jobs.parts import parts_of
from safelight.lifecycle.notify import expire_events

NAME = "expire_events"
EVERY_HOUR = "17 * * * *"


def register(app: App, *, queue: str) -> None:
    task = app.task(name=NAME, queue=queue, queueing_lock=NAME, pass_context=True)(_expire_events)
    app.periodic(cron=EVERY_HOUR)(task)


async def _expire_events(context: JobContext, timestamp: int) -> None:
    while await expire_events(parts_of(context).running.db):
        pass
