"""Every five minutes: rebuild the balances from the postings, and tell readiness what was found."""

from __future__ import annotations

import structlog
from procrastinate import App, JobContext

from safelight.accounts.books import check_and_record_books
from safelight.domain.scope import OPERATOR
from safelight.jobs.parts import parts_of

log = structlog.get_logger()

NAME = "check_books"
EVERY_FIVE_MINUTES = "*/5 * * * *"


def register(app: App, *, queue: str) -> None:
    task = app.task(name=NAME, queue=queue, queueing_lock=NAME, pass_context=True)(_check_books)
    app.periodic(cron=EVERY_FIVE_MINUTES)(task)


async def _check_books(context: JobContext, timestamp: int) -> None:
    books = await check_and_record_books(OPERATOR, parts_of(context).running.db)
    if not books.balances:
        log.error("the books do not balance", remedy="run 'safelight books'")
