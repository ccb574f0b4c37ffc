"""Prepaid credit of a workspace."""

from __future__ import annotations

from datetime import datetime

import msgspec
from psycopg.errors import CheckViolation, NumericValueOutOfRange

from safelight.accounts.workspaces import no_such_workspace
from safelight.db.pool import Database
from safelight.domain.errors import InvalidParameter
from safelight.domain.scope import OperatorScope, WorkspaceScope
from safelight.domain.text import read_line

_MAX_REASON_CHARACTERS = 1000


class CreditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One addition of credit; negative where it was taken back."""

    id: int
    amount_nanos: int
    reason: str
    created_at: datetime


async def add_credit(
    operator: OperatorScope, db: Database, *, to: WorkspaceScope, amount_nanos: int, reason: str
) -> int:
    """Add credit (a negative amount takes it back); the new available balance in nano-dollars.

    Nobody gives it to themselves: the operator does. Raises ``InvalidParameter`` and ``NotFound``.
    """
    if amount_nanos == 0:
        raise InvalidParameter("The amount is zero. Give an amount such as 25 or 0.50.", param="amount")
    read_line(reason, "reason", most=_MAX_REASON_CHARACTERS)
    params = {"workspace_id": to.workspace_id, "amount_nanos": amount_nanos, "reason": reason}
    try:
        row = await db.one("add_credit", params, tuple)
    except (CheckViolation, NumericValueOutOfRange):
        raise InvalidParameter("The balance would leave its range: it cannot go below zero.", param="amount") from None
    if row is None:
        raise no_such_workspace(to.workspace_id)
    return int(row[0])


async def credit_history(scope: WorkspaceScope, db: Database) -> list[CreditEntry]:
    """Credit added to the workspace, newest first."""
    return await db.all("credit_history", {"workspace_id": scope.workspace_id}, CreditEntry)
