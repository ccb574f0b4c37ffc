"""``safelight workspaces``: who shares a balance and limits."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from safelight.accounts import workspaces as accounts
from safelight.accounts.audit import Action
from safelight.cli.audit import note
from safelight.cli.database import database_url, refusals_explained, with_database
from safelight.cli.numbers import whole
from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import print_json, print_table
from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError
from safelight.domain.money import format_usd
from safelight.domain.scope import OPERATOR
from safelight.node.settings import Settings, load_settings

Name = Annotated[str, Parameter(help="The workspace: lower-case letters, digits and '-'.")]
_LIMITS = whole(0, 2**31 - 1)
_LIMIT = "0 returns it to the setting"
_COLUMNS = ["name", "available", "held", "in_flight", "image_rpm", "video_rpm", "concurrency", "created_at"]


def create(name: Name, /, *, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Make a workspace. It starts without credit: 'safelight credit add' gives it some."""

    async def work(database: Database) -> bool:
        made = await accounts.create_workspace(OPERATOR, database, name)
        if made is not None:
            await note(database, Action.WORKSPACE_CREATE, made.workspace_id, scope=made)
        return made is not None

    made = with_database(data_dir, work, may_create=True)
    if as_json:
        print_json({"name": name, "created": made})
    else:
        print(f"Workspace {name!r} is {'made' if made else 'there already'}.")


def list_all(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List workspaces with their credit in US dollars and their limits."""

    async def work(database: Database) -> list[accounts.Workspace]:
        return await accounts.list_workspaces(OPERATOR, database)

    rows = [_row(workspace) for workspace in with_database(data_dir, work)]
    if as_json:
        print_json(rows)
        return
    print_table(rows, columns=_COLUMNS, empty="There is no workspace. 'safelight workspaces create NAME' makes one.")


def limits(
    name: Name,
    /,
    *,
    image_rpm: Annotated[int | None, Parameter(help=f"Images a minute; {_LIMIT}."), _LIMITS] = None,
    video_rpm: Annotated[int | None, Parameter(help=f"Videos a minute; {_LIMIT}."), _LIMITS] = None,
    concurrency: Annotated[int | None, Parameter(help=f"Generations at once; {_LIMIT}."), _LIMITS] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Set a workspace's limits, or show them. What is not given stays; '-' means the setting's."""

    async def work(database: Database) -> accounts.Workspace:
        of = await accounts.workspace_scope(OPERATOR, database, name)
        changed = {"image_rpm": image_rpm, "video_rpm": video_rpm, "concurrency": concurrency}
        found = await accounts.set_limits(OPERATOR, database, of=of, **changed)
        if any(value is not None for value in changed.values()):
            await note(database, Action.WORKSPACE_LIMIT, of.workspace_id, scope=of, **changed)
        return found

    row = _row(with_database(data_dir, work))
    if as_json:
        print_json(row)
    else:
        print_table([row], columns=["name", "image_rpm", "video_rpm", "concurrency"], empty="")


def erase(
    name: Name,
    /,
    *,
    yes: Annotated[bool, Parameter(negative="", help="Really do it: nothing brings it back.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Erase a workspace: its media, prompts, keys and name. The ledger keeps its amounts."""
    if not yes:
        raise ConfigurationError(f"This erases workspace {name!r} for good. Say so with --yes.")
    settings = load_settings(data_dir=data_dir)
    with database_url(settings) as url, refusals_explained(settings):
        deleted = asyncio.run(_erase(msgspec.structs.replace(settings, database_url=url), name))
    print(f"Workspace {name!r} is erased, {deleted} files with it.")


async def _erase(settings: Settings, name: str) -> int:
    # What keeps files brings the media libraries along: only this command pays for them.
    from safelight.keeping.erase import erase_workspace
    from safelight.wiring import open_keeping

    async with open_keeping(settings) as keeping:
        scope = await accounts.workspace_scope(OPERATOR, keeping.db, name)
        deleted = await erase_workspace(keeping, name)
        await note(keeping.db, Action.WORKSPACE_ERASE, scope.workspace_id, scope=scope, files=deleted)
        return deleted


def _row(workspace: accounts.Workspace) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "available": format_usd(workspace.available_nanos),
        "held": format_usd(workspace.held_nanos),
        "in_flight": workspace.in_flight,
        "image_rpm": workspace.image_rpm,
        "video_rpm": workspace.video_rpm,
        "concurrency": workspace.concurrency,
        "created_at": workspace.created_at,
    }
