"""Every five minutes: verify the books from their last close on, every night all, and tell readiness what was found."""

from __future__ import annotations

import structlog
from procrastinate import App, JobContext

from safelight.accounts.books import Books, check_and_record_all_books, check_and_record_books
from safelight.domain.scope import OPERATOR
from safelight.jobs.parts import parts_of

log = structlog.get_logger()

NAME = "check_books"
NAME_OF_ALL = "check_all_books"
EVERY_FIVE_MINUTES = "*/5 * * * *"
EVERY_NIGHT = "43 4 * * *"


def register(app: App, *, queue: str) -> None:
    task = app.task(name=NAME, queue=queue, queueing_lock=NAME, pass_context=True)(_check_books)
    app.periodic(cron=EVERY_FIVE_MINUTES)(task)
    of_all = app.task(name=NAME_OF_ALL, queue=queue, queueing_lock=NAME_OF_ALL, pass_context=True)(_check_all_books)
    app.periodic(cron=EVERY_NIGHT)(of_all)


async def _check_books(context: JobContext, timestamp: int) -> None:
    _tell(await check_and_record_books(OPERATOR, parts_of(context).running.db))


async def _check_all_books(context: JobContext, timestamp: int) -> None:
    _tell(await check_and_record_all_books(OPERATOR, parts_of(context).running.db))


def _tell(books: Books) -> None:
    if not books.balances:
        log.error("the books do not balance", remedy="run 'safelight books --all'")
