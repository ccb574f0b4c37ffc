"""Workspaces and their limits."""

from __future__ import annotations

import re
from datetime import date, datetime

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import InvalidParameter, NotFound
from safelight.domain.scope import OperatorScope, Scope, WorkspaceScope

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace. A limit of None is the setting's."""

    id: int
    name: str
    created_at: datetime
    image_rpm: int | None
    video_rpm: int | None
    concurrency: int | None
    available_nanos: int
    held_nanos: int
    in_flight: int


class Account(Workspace, frozen=True, kw_only=True):
    """A workspace, and what it spent of late."""

    is_being_erased: bool
    spent_nanos: int


SORTS = ("name", "balance", "held", "under_way", "spent", "created")
"""By what ``list_accounts`` sorts: by name from a to z, by the others the most first."""


def is_workspace_name(text: str) -> bool:
    """Whether a workspace may have that name."""
    return _NAME.fullmatch(text) is not None


async def create_workspace(operator: OperatorScope, db: Database, name: str) -> WorkspaceScope | None:
    """Make a workspace with a zero balance; its scope. None if it is there already. Raises ``InvalidParameter``."""
    if not is_workspace_name(name):
        raise InvalidParameter(
            f"{name!r} is not a workspace name. Use up to 63 lower-case letters, digits and '-'.",
            param="name",
        )
    made = await db.one("create_workspace", {"name": name}, tuple)
    return None if made is None else WorkspaceScope(made[0])


async def workspace_scope(operator: OperatorScope, db: Database, name: str) -> WorkspaceScope:
    """The scope of the workspace of that name. Raises ``NotFound``."""
    found = await db.one("find_workspace", {"name": name}, tuple) if is_workspace_name(name) else None
    if found is None:
        raise no_such_workspace(name)
    return WorkspaceScope(found[0])


async def scope_of(operator: OperatorScope, db: Database, name: str | None) -> Scope:
    """The scope of the workspace of that name, or of all of them where there is no name. Raises ``NotFound``."""
    return operator if name is None else await workspace_scope(operator, db, name)


async def list_workspaces(operator: OperatorScope, db: Database) -> list[Workspace]:
    """Every workspace, by name."""
    return await db.all("list_workspaces", {"workspace_id": operator.workspace_id}, Workspace)


async def list_accounts(
    scope: Scope, db: Database, *, since: date, search: str = "", sort: str = "name", most: int = 200
) -> list[Account]:
    """Workspaces whose name has a text, with what they spent since a UTC date; ``most`` of them, sorted."""
    params = {"since": since, "search": search.replace("\0", ""), "sort": sort, "most": most}
    return await db.all("list_accounts", {"workspace_id": scope.workspace_id, **params}, Account)


async def get_workspace(scope: WorkspaceScope, db: Database) -> Workspace:
    """The workspace as it stands. Raises ``NotFound``."""
    found = await db.one("list_workspaces", {"workspace_id": scope.workspace_id}, Workspace)
    if found is None:
        raise no_such_workspace(scope.workspace_id)
    return found


async def set_limits(
    operator: OperatorScope,
    db: Database,
    *,
    of: WorkspaceScope,
    image_rpm: int | None = None,
    video_rpm: int | None = None,
    concurrency: int | None = None,
) -> Workspace:
    """Change a workspace's limits: None leaves one as it is, 0 returns it to the setting.

    Nobody raises their own: the operator does. Raises ``InvalidParameter`` and ``NotFound``.
    """
    limits = {"image_rpm": image_rpm, "video_rpm": video_rpm, "concurrency": concurrency}
    for key, value in limits.items():
        if value is not None and not 0 <= value < 2**31:
            raise InvalidParameter(f"{key} must be 0 or more; 0 returns it to the setting.", param=key)
    await db.run("set_workspace_limits", {"workspace_id": of.workspace_id, **limits})
    return await get_workspace(of, db)


def no_such_workspace(workspace: str | int) -> NotFound:
    """By its name, or by its number."""
    return NotFound(
        f"There is no workspace {workspace!r}. 'safelight workspaces list' shows those that exist.",
        param="workspace",
    )
