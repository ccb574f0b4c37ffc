"""Proof that the money adds up: every balance rebuilt from the postings, and every day's usage from the generations."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from safelight.db.pool import Database, every, one
from safelight.domain.scope import OperatorScope


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
    """The result of a check."""

    statement: Statement
    drift: tuple[Drift, ...]
    usage_drift: tuple[UsageDrift, ...]

    @property
    def balances(self) -> bool:
        return not self.problems()

    def problems(self) -> list[str]:
        """What does not add up, a line each: usage is told by its workspace. Empty where all does."""
        of_usage = sorted({item.workspace for item in self.usage_drift})
        return [
            *self.statement.problems(),
            *(f"{item.what} of {item.workspace} has drifted" for item in self.drift),
            *(f"daily usage of {workspace} has drifted" for workspace in of_usage),
        ]


async def check_books(operator: OperatorScope, db: Database) -> Books:
    """Rebuild balances from the postings and usage from the generations, in one snapshot, and compare."""
    async with db.snapshot() as connection:
        drift = await every(connection, "books_drift", {}, Drift)
        usage_drift = await every(connection, "books_usage", {}, UsageDrift)
        statement = await one(connection, "books_statement", {}, Statement)
    assert statement is not None
    return Books(statement=statement, drift=tuple(drift), usage_drift=tuple(usage_drift))


async def check_and_record_books(operator: OperatorScope, db: Database) -> Books:
    """Check the books, and leave the result where readiness looks."""
    books = await check_books(operator, db)
    await db.run("record_books_check", {"problems": books.problems()})
    return books
