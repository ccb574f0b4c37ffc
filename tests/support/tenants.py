"""A workspace with credit and a key, as most tests begin."""

from __future__ import annotations

import secrets
from datetime import datetime

import msgspec

from safelight.accounts.credit import add_credit
from safelight.accounts.keys import create_key
from safelight.accounts.workspaces import create_workspace, set_limits, workspace_scope
from safelight.db.pool import Database
from safelight.domain.money import parse_usd
from safelight.domain.scope import OPERATOR, WorkspaceScope
from tests.support.postgres import on_database


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace and a key of it."""

    id: int
    name: str
    key: str
    key_id: int

    @property
    def scope(self) -> WorkspaceScope:
        return WorkspaceScope(self.id)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


async def make_tenant(
    db: Database,
    name: str | None = None,
    *,
    usd: str = "100",
    spend_cap: str | None = None,
    expires_at: datetime | None = None,
    **limits: int,
) -> Tenant:
    """A new workspace with credit, limits (``image_rpm``, ``video_rpm``, ``concurrency``) and a key."""
    name = name or f"tenant-{secrets.token_hex(6)}"
    scope = await create_workspace(OPERATOR, db, name)
    assert scope is not None, f"{name} is there already"
    if usd != "0":
        await add_credit(OPERATOR, db, to=scope, amount_nanos=parse_usd(usd), reason="for a test")
    if limits:
        await set_limits(OPERATOR, db, of=scope, **limits)
    return await another_key(db, name, spend_cap=spend_cap, expires_at=expires_at)


async def another_key(
    db: Database, workspace: str, *, spend_cap: str | None = None, expires_at: datetime | None = None
) -> Tenant:
    """The workspace with a key that is new."""
    scope = await workspace_scope(OPERATOR, db, workspace)
    cap = None if spend_cap is None else parse_usd(spend_cap)
    key = await create_key(scope, db, spend_cap_nanos=cap, expires_at=expires_at)
    return Tenant(id=scope.workspace_id, name=workspace, key=key.secret, key_id=key.id)


def make_tenant_at(url: str, name: str | None = None, *, usd: str = "100", **limits: int) -> Tenant:
    """``make_tenant`` for what has only the database's URL."""
    return on_database(url, lambda db: make_tenant(db, name, usd=usd, spend_cap=None, expires_at=None, **limits))
