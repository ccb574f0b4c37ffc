"""The audit log: what people did. Its lines are never changed, and outlive the workspace that they tell of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from safelight.db.pool import Database
from safelight.domain.roles import Role
from safelight.domain.scope import Scope
from safelight.domain.text import first_bytes

_MOST_BYTES = 200


class Action(StrEnum):
    """What people do, each by what it is done to."""

    SESSION_BEGIN = "session.begin"
    SESSION_END = "session.end"
    LINK_CREATE = "login_link.create"
    WORKSPACE_CREATE = "workspace.create"
    WORKSPACE_LIMIT = "workspace.limit"
    WORKSPACE_ERASE = "workspace.erase"
    WORKSPACE_LOOK = "workspace.look"
    CREDIT_ADD = "credit.add"
    BOOKS_CHECK = "books.check"
    KEY_CREATE = "key.create"
    KEY_CHANGE = "key.change"
    KEY_REVOKE = "key.revoke"
    ENDPOINT_CREATE = "endpoint.create"
    ENDPOINT_ROTATE = "endpoint.rotate"
    ENDPOINT_ENABLE = "endpoint.enable"
    ENDPOINT_DISABLE = "endpoint.disable"
    ENDPOINT_DELETE = "endpoint.delete"
    DELIVERY_RESEND = "delivery.resend"
    EVENT_TEST = "event.test"
    GENERATION_CREATE = "generation.create"
    GENERATION_CANCEL = "generation.cancel"
    MEDIA_DELETE = "media.delete"
    BACKUP_RESTORE = "backup.restore"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something. ``person``: what they are called. ``address``: where their request came from, if it did."""

    person: str
    role: Role
    address: str = ""


class ActionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the log. ``workspace`` None: done in no workspace."""

    id: int
    at: datetime
    person: str
    role: str
    workspace: str | None
    action: str
    target: str
    detail: dict[str, Any]
    address: str


async def record(
    scope: Scope,
    db: Database,
    by: Actor,
    action: Action,
    target: str | int,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Put on record what was done in the scope, once it is done; the number of its line.

    ``target``: the id or name of what it was done to. ``detail``: what of it is worth knowing, as JSON takes it; no
    secrets, and nothing of what was asked for.
    """
    params = {
        "person": first_bytes(by.person, _MOST_BYTES),
        "role": by.role,
        "workspace_id": scope.workspace_id,
        "action": action,
        "target": first_bytes(str(target), _MOST_BYTES),
        "detail": Jsonb(dict(detail or {})),
        "address": first_bytes(by.address, _MOST_BYTES),
    }
    row = await db.one("record_action", params, tuple)
    assert row is not None
    return int(row[0])


async def list_actions(
    scope: Scope,
    db: Database,
    *,
    before: int | None = None,
    limit: int = 100,
    person: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[ActionRecord]:
    """What was done in the scope, newest first: ``limit`` lines of it.

    ``before``: the number of the last line that is known. ``since`` is included, ``until`` is not. The others leave
    only what is so.
    """
    page = {"before": before, "limit": limit, "person": person, "action": action, "since": since, "until": until}
    return await db.all("list_actions", {"workspace_id": scope.workspace_id, **page}, ActionRecord)
