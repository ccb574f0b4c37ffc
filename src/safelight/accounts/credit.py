"""Prepaid credit of a workspace."""

from __future__ import annotations

from datetime import datetime

import msgspec
from psycopg.errors import CheckViolation, NumericValueOutOfRange, UniqueViolation

from safelight.accounts.workspaces import no_such_workspace
from safelight.db.pool import Database
from safelight.domain.errors import IdempotencyConflict, InvalidParameter
from safelight.domain.scope import OperatorScope, WorkspaceScope
from safelight.domain.text import read_line
from safelight.telemetry import observe

_MAX_REASON_CHARACTERS = 1000
_MAX_REFERENCE_CHARACTERS = 100


class CreditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One addition of credit; negative where it was taken back."""

    id: int
    amount_nanos: int
    reason: str
    created_at: datetime


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    workspace_id: int
    amount_nanos: int
    reason: str


async def add_credit(
    operator: OperatorScope, db: Database, *, to: WorkspaceScope, amount_nanos: int, reason: str
) -> int:
    """Add credit (a negative amount takes it back); the new available balance in nano-dollars.

    Nobody gives it to themselves: the operator does. Raises ``InvalidParameter`` and ``NotFound``.
    """
    asked = _Asked(workspace_id=to.workspace_id, amount_nanos=amount_nanos, reason=reason)
    return await _add(db, asked, reference=None)


async def add_credit_once(
    operator: OperatorScope, db: Database, *, to: WorkspaceScope, amount_nanos: int, reason: str, reference: str
) -> bool:
    """As ``add_credit``, once for each ``reference``, however often it is asked for; False: it was added already.

    Raises ``IdempotencyConflict`` besides, where something else was added under this reference.
    """
    read_line(reference, "reference", most=_MAX_REFERENCE_CHARACTERS)
    asked = _Asked(workspace_id=to.workspace_id, amount_nanos=amount_nanos, reason=reason)
    try:
        await _add(db, asked, reference)
    except (UniqueViolation, InvalidParameter):  # also where what was taken back once is not there a second time
        added = await db.one("find_credit", {"reference": reference}, _Asked)
        if added is None:
            raise
        if added != asked:
            raise IdempotencyConflict("This form was sent before with something else in it. Open it anew.") from None
        return False
    return True


async def _add(db: Database, asked: _Asked, reference: str | None) -> int:
    """The new balance. Raises ``UniqueViolation``, and adds nothing, where the reference is there already."""
    if asked.amount_nanos == 0:
        raise InvalidParameter("The amount is zero. Give an amount such as 25 or 0.50.", param="amount")
    read_line(asked.reason, "reason", most=_MAX_REASON_CHARACTERS)
    try:
        row = await db.one("add_credit", {**msgspec.structs.asdict(asked), "reference": reference}, tuple)
    except (CheckViolation, NumericValueOutOfRange):
        raise InvalidParameter("The balance would leave its range: it cannot go below zero.", param="amount") from None
    if row is None:
        raise no_such_workspace(asked.workspace_id)
    observe.credited(asked.amount_nanos)
    return int(row[0])


async def credit_history(scope: WorkspaceScope, db: Database) -> list[CreditEntry]:
    """Credit added to the workspace, newest first."""
    return await db.all("credit_history", {"workspace_id": scope.workspace_id}, CreditEntry)
