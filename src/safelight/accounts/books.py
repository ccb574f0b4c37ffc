"""Proof that the money adds up: every balance rebuilt from the postings, and every day's usage from the generations.

What was verified is closed: its sums are kept, and the next check goes on from there, so that it costs what is new and
not what is kept. The whole check looks at everything again, whatever was closed.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import msgspec
from psycopg.errors import SerializationFailure

from safelight.db.pool import Connection, Database, every, one, run
from safelight.domain.scope import OperatorScope

_ALL = ("books_drift", "books_usage", "books_statement")
_SINCE_CLOSE = ("books_drift_since_close", "books_usage_since_close", "books_statement_since_close")


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """Something of a workspace that is not what its postings and generations say.

    Both are nano-dollars, or a number of generations; ``recorded`` is None where the workspace has no account.
    """

    workspace: str
    what: str
    recorded: Decimal | None
    rebuilt: Decimal


class UsageDrift(msgspec.Struct, frozen=True, kw_only=True):
    """Usage of one date, workspace, type, model and key that is not what its generations say.

    ``what``: the number of rows (one or none), of completed and of failed generations, or what was charged.
    ``recorded`` is what the table has, ``rebuilt`` what the generations add up to; where there is nothing it is zero.
    """

    date: date
    workspace: str
    type: str
    model: str
    api_key_id: int | None
    what: str
    recorded: Decimal
    rebuilt: Decimal


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger's totals in nano-dollars. ``daily_costs_nanos``: what every day's usage cost."""

    transfers: int
    funded_nanos: Decimal
    available_nanos: Decimal
    held_nanos: Decimal
    revenue_nanos: Decimal
    daily_costs_nanos: Decimal
    charged_nanos: Decimal
    sum_nanos: Decimal

    def problems(self) -> list[str]:
        """What does not add up, in words; empty where all does."""
        found = []
        if self.sum_nanos != 0:
            found.append(f"the postings sum to {self.sum_nanos} nano-dollars, not to zero")
        if self.revenue_nanos != self.charged_nanos:
            found.append("revenue is not what the generations were charged")
        if self.revenue_nanos != self.daily_costs_nanos:
            found.append("revenue is not what the daily costs add up to")
        return found


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check. ``closed_up_to``: the last transfer that it took as verified; 0 where it looked at all."""

    statement: Statement
    drift: tuple[Drift, ...]
    usage_drift: tuple[UsageDrift, ...]
    closed_up_to: int = 0

    @property
    def balances(self) -> bool:
        return not self.problems()

    def problems(self) -> list[str]:
        """What does not add up, a line each: usage is told by its workspace. Empty where all does."""
        of_usage = sorted({item.workspace for item in self.usage_drift})
        return [
            *self.statement.problems(),
            *(f"{item.what} {_drifted(item.workspace)}" for item in self.drift),
            *(f"daily usage {_drifted(workspace)}" for workspace in of_usage),
        ]


class LastCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest check of the books found, as ``Books.problems`` says it."""

    problems: list[str]
    checked_at: datetime

    def problems_of(self, workspace: str) -> list[str]:
        """Those of one workspace, without its name."""
        end = f" {_drifted(workspace)}"
        return [each.removesuffix(end) for each in self.problems if each.endswith(end)]


class _Close(msgspec.Struct, frozen=True):
    transfer_id: int
    next_transfer_id: int
    is_next_whole: bool


async def last_check(operator: OperatorScope, db: Database) -> LastCheck | None:
    """What the newest check found; None where there was none yet."""
    return await db.one("find_books_check", {}, LastCheck)


async def check_books(operator: OperatorScope, db: Database) -> Books:
    """Rebuild balances from the postings and usage from the generations, all of them, in one snapshot, and compare."""
    async with db.snapshot() as connection:
        return await _check(connection, _ALL)


async def check_books_since_close(operator: OperatorScope, db: Database) -> Books:
    """As ``check_books``, with what was verified up to the last close taken as it was then."""
    async with db.snapshot() as connection:
        return await _check_since(connection, await one(connection, "find_books_close", {}, _Close))


async def check_and_record_books(operator: OperatorScope, db: Database) -> Books:
    """Check the books from the last close on, leave the result where readiness looks, and close what balances."""
    try:
        async with db.snapshot(writes=True) as connection:
            close = await one(connection, "find_books_close", {}, _Close)
            books = await _check_since(connection, close)
            if books.balances:
                await _close(connection, close)
    except SerializationFailure:  # another worker has closed them meanwhile
        books = await check_books_since_close(operator, db)
    await db.run("record_books_check", {"problems": books.problems()})
    return books


async def check_and_record_all_books(operator: OperatorScope, db: Database) -> Books:
    """Check all of the books, and leave the result where readiness looks.

    If they do not balance, what was closed is open again, so that no later check passes over it.
    """
    books = await check_books(operator, db)
    if not books.balances:
        await db.run("reopen_books", {})
    await db.run("record_books_check", {"problems": books.problems()})
    return books


async def _check_since(connection: Connection, close: _Close | None) -> Books:
    if close is None or close.transfer_id == 0:
        return await _check(connection, _ALL)
    return await _check(connection, _SINCE_CLOSE, closed_up_to=close.transfer_id)


async def _check(connection: Connection, names: tuple[str, str, str], closed_up_to: int = 0) -> Books:
    since = {"since": closed_up_to}
    drift = await every(connection, names[0], since, Drift)
    usage_drift = await every(connection, names[1], since, UsageDrift)
    statement = await one(connection, names[2], since, Statement)
    assert statement is not None
    return Books(statement=statement, drift=tuple(drift), usage_drift=tuple(usage_drift), closed_up_to=closed_up_to)


async def _close(connection: Connection, close: _Close | None) -> None:
    """Close what this snapshot verified, as far as nothing can come to light in it any more."""
    if close is None:
        await run(connection, "open_books_close", {})
    elif close.is_next_whole:
        await run(connection, "close_books", {"since": close.transfer_id, "up_to": close.next_transfer_id})


def _drifted(workspace: str) -> str:
    return f"of {workspace} has drifted"
