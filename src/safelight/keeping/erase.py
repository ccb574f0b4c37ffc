"""Erasing a workspace: its media, its prompts, its keys and its name. The ledger stays, without any of them."""

from __future__ import annotations

import asyncio
import time

import structlog

from safelight.domain.errors import InvalidParameter, NotFound
from safelight.keeping.expire import sweep
from safelight.keeping.services import KeepingServices

log = structlog.get_logger()

_PATIENCE_SECONDS = 30.0


async def erase_workspace(services: KeepingServices, name: str) -> int:
    """Erase a workspace for good; the number of files deleted.

    Its keys stop working first. Raises ``NotFound``, and ``InvalidParameter`` while generations are under way.
    """
    row = await services.db.one("close_workspace", {"name": name}, tuple)
    if row is None:
        raise NotFound(f"There is no workspace {name!r}. 'safelight workspaces list' shows those that exist.")
    workspace_id = row[0]
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while (await _in_flight(services, workspace_id)) > 0:
        if time.monotonic() > give_up_at:
            raise InvalidParameter("Generations are still under way; its keys are revoked. Try again in a while.")
        await asyncio.sleep(0.5)
    await services.db.run("expire_workspace", {"workspace_id": workspace_id})
    deleted = await sweep(services)
    await services.db.run("erase_workspace", {"workspace_id": workspace_id})
    log.info("workspace erased", workspace_id=workspace_id, files=deleted)
    return deleted


async def _in_flight(services: KeepingServices, workspace_id: int) -> int:
    row = await services.db.one("count_in_flight", {"workspace_id": workspace_id}, tuple)
    return int(row[0]) if row else 0
