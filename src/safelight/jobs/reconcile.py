"""Every few seconds: find generations that lost their runner, and give them a new one."""

from __future__ import annotations

from procrastinate import App, JobContext

from safelight.lifecycle.reconcile import reconcile

NAME = "reconcile"
EVERY_FIVE_SECONDS = "* * * * * */5"


def register(app: App, *, queue: str) -> None:
    task = app.task(name=NAME, queue=queue, queueing_lock=NAME, pass_context=True)(_reconcile)
    app.periodic(cron=EVERY_FIVE_SECONDS)(task)


async def _reconcile(context: JobContext, timestamp: int) -> None:
    await reconcile(context.additional_context["services"])
