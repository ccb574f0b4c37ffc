"""What a workspace has left."""

from __future__ import annotations

import msgspec

from safelight.db.pool import Database
from safelight.domain.scope import WorkspaceScope


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """Nano-dollars: what may be spent now, and what is set aside for generations under way."""

    available_nanos: int
    held_nanos: int


async def get_balance(scope: WorkspaceScope, db: Database) -> Balance:
    balance = await db.one("find_balance", {"workspace_id": scope.workspace_id}, Balance)
    assert balance is not None
    return balance
