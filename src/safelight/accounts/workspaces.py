"""Workspaces and their limits."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import InvalidParameter, NotFound

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


async def create_workspace(db: Database, name: str) -> bool:
    """Make a workspace with a zero balance. False if it is there already."""
    if _NAME.fullmatch(name) is None:
        raise InvalidParameter(
            f"{name!r} is not a workspace name. Use up to 63 lower-case letters, digits and '-'.",
            param="name",
        )
    return await db.one("create_workspace", {"name": name}, tuple) is not None


async def list_workspaces(db: Database) -> list[Workspace]:
    return await db.all("list_workspaces", {"name": None}, Workspace)


async def get_workspace(db: Database, name: str) -> Workspace:
    """The workspace of that name, or ``NotFound``."""
    found = await db.one("list_workspaces", {"name": name}, Workspace)
    if found is None:
        raise no_such_workspace(name)
    return found


async def set_limits(
    db: Database,
    name: str,
    *,
    image_rpm: int | None = None,
    video_rpm: int | None = None,
    concurrency: int | None = None,
) -> Workspace:
    """Change limits: None leaves one as it is, 0 returns it to the setting."""
    limits = {"image_rpm": image_rpm, "video_rpm": video_rpm, "concurrency": concurrency}
    for key, value in limits.items():
        if value is not None and not 0 <= value < 2**31:
            raise InvalidParameter(f"{key} must be 0 or more; 0 returns it to the setting.", param=key)
    await db.run("set_workspace_limits", {"name": name, **limits})
    return await get_workspace(db, name)


def no_such_workspace(name: str) -> NotFound:
    return NotFound(
        f"There is no workspace {name!r}. 'safelight workspaces list' shows those that exist.",
        param="workspace",
    )
