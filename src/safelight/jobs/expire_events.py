"""Every hour: forget events, deliveries and refused requests that are old, and sessions and links that are over."""

from __future__ import annotations

from procrastinate import App, JobContext

from safelight.jobs.parts import parts_of
from safelight.keeping.expire import expire_sessions
from safelight.lifecycle.followers import keep_places
from safelight.lifecycle.notify import expire_events
from safelight.lifecycle.refusals import expire_refused

NAME = "expire_events"
EVERY_HOUR = "17 * * * *"


def register(app: App, *, queue: str) -> None:
    task = app.task(name=NAME, queue=queue, queueing_lock=NAME, pass_context=True)(_expire_events)
    app.periodic(cron=EVERY_HOUR)(task)


async def _expire_events(context: JobContext, timestamp: int) -> None:
    parts = parts_of(context)
    while await expire_events(parts.running.db):
        pass
    await keep_places(parts.running.db)
    while await expire_refused(parts.running.db):
        pass
    await expire_sessions(parts.keeping)
