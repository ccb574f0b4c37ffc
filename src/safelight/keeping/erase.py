"""Erasing a workspace: its media, its prompts, its keys and its name. The ledger stays, without any of them.

One statement makes it gone for everybody, and what it had is erased a batch at a time. How far that is stays with the
workspace: killed anywhere in between, the sweep of any worker goes on there, and so does `safelight sweep`.
"""

from __future__ import annotations

import asyncio
import itertools
import time

import structlog

from safelight.domain.errors import InvalidParameter, NotFound
from safelight.domain.ports import NotingStore
from safelight.keeping.expire import sweep
from safelight.keeping.services import KeepingServices
from safelight.node.killpoints import killpoint

log = structlog.get_logger()

_PATIENCE_SECONDS = 30.0


async def erase_workspace(services: KeepingServices, name: str) -> int:
    """Erase a workspace for good; the number of files deleted. Raises as ``begin_erasure`` does."""
    workspace_id = await begin_erasure(services, name)
    await _erase_rest(services, workspace_id)
    deleted = await sweep(services)
    log.info("workspace erased", workspace_id=workspace_id, files=deleted)
    return deleted


async def begin_erasure(services: KeepingServices, name: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> int:
    """Make a workspace gone for everybody; its number. What it had is erased by any worker's sweep from now on.

    Its keys stop working first. Raises ``NotFound``, and ``InvalidParameter`` while generations are under way.
    """
    row = await services.db.one("close_workspace", {"name": name}, tuple)
    if row is None:
        raise NotFound(f"There is no workspace {name!r}. 'safelight workspaces list' shows those that exist.")
    workspace_id = row[0]
    give_up_at = time.monotonic() + patience_seconds
    while (await _in_flight(services, workspace_id)) > 0:
        if time.monotonic() > give_up_at:
            raise InvalidParameter("Generations are still under way; its keys are revoked. Try again in a while.")
        await asyncio.sleep(0.5)
    if isinstance(services.store, NotingStore):
        await services.store.withdraw_workspace(workspace_id)
    await services.db.one("begin_erasure", {"workspace_id": workspace_id}, tuple)
    killpoint("erase-after-begin")
    return int(workspace_id)


async def continue_erasures(services: KeepingServices, *, most_batches: int | None = 20) -> None:
    """Go on with what was begun elsewhere: so many batches of each workspace, or all of them where that is None."""
    for (workspace_id,) in await services.db.all("list_erasures", {}, tuple):
        if await _erase_rest(services, workspace_id, most_batches=most_batches):
            log.info("workspace erased", workspace_id=workspace_id)


async def _erase_rest(services: KeepingServices, workspace_id: int, *, most_batches: int | None = None) -> bool:
    """Erase what is left of a workspace, batch after batch; whether that is all of it."""
    batches = itertools.repeat(None) if most_batches is None else itertools.repeat(None, most_batches)
    for _ in batches:
        if not await _erase_batch(services, workspace_id):
            await services.db.run("end_erasure", {"workspace_id": workspace_id})
            return True
        killpoint("erase-after-batch")
    return False


async def _erase_batch(services: KeepingServices, workspace_id: int) -> bool:
    """Erase a batch of what is left; False: nothing is."""
    params = {"workspace_id": workspace_id}
    generations = await services.db.one("erase_generations", params, tuple)
    if generations and generations[0]:
        return True
    for name in ("erase_idempotency_keys", "erase_refused_requests", "erase_end_users", "erase_sessions"):
        if await services.db.run(name, params):
            return True
    for (endpoint_id,) in await services.db.all("list_endpoints_to_erase", params, tuple):
        deliveries = await services.db.one("forget_deliveries", {"endpoint_id": endpoint_id}, tuple)
        if deliveries and deliveries[0]:
            return True
        await services.db.run("delete_endpoint", {"endpoint_id": endpoint_id})
    followed = await services.db.one("forget_followed", params, tuple)
    return bool(followed and followed[0])


async def _in_flight(services: KeepingServices, workspace_id: int) -> int:
    row = await services.db.one("count_in_flight", {"workspace_id": workspace_id}, tuple)
    return int(row[0]) if row else 0
