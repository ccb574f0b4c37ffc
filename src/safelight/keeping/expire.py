"""Step seven: delete what is due, on time and provably.

Each file is marked first, then deleted from the store, then seen to be absent, and only then recorded as gone. Killed
anywhere in between, the next sweep goes on from the mark. The cost grows with what expires, not with what is kept.
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from safelight.domain.errors import NotFound
from safelight.domain.ids import is_generation_id
from safelight.domain.object_keys import thumbnail_key
from safelight.domain.ports import NotingStore
from safelight.keeping.services import KeepingServices
from safelight.node.killpoints import killpoint

log = structlog.get_logger()

_BATCH = 1000
_BATCHES_AT_ONCE = 4  # one is deleted from the store while others are recorded


class _Due(msgspec.Struct, frozen=True):
    generation_id: str
    index: int
    key: str


async def sweep(services: KeepingServices) -> int:
    """Delete every file that is due, and let go of what nobody needs any more. The number of files deleted."""
    total = sum(await asyncio.gather(*(_sweep_batches(services) for _ in range(_BATCHES_AT_ONCE))))
    while await services.db.run("forget_unfulfilled", {"retention_seconds": services.retention_seconds}):
        pass
    while await services.db.run("forget_idempotency_keys", {}):
        pass
    if total:
        log.info("files deleted on time", count=total)
    return total


async def expire_sessions(services: KeepingServices) -> None:
    """Forget people's sessions and links that are over: nobody comes in by them any more."""
    for name in ("expire_sessions", "expire_login_links"):
        while await services.db.run(name, {}):
            pass


async def _sweep_batches(services: KeepingServices) -> int:
    """Batch after batch, beside others: what one has marked, no other takes."""
    total = 0
    while due := await services.db.all("tombstone_due", {"limit": _BATCH}, _Due):
        total += await _delete(services, due)
    return total


async def delete_media(services: KeepingServices, workspace_id: int, generation_id: str) -> None:
    """Delete a generation's files now, before their time. Repeating it is harmless. Raises ``NotFound``."""
    params = {"id": generation_id, "workspace_id": workspace_id}
    files = await services.db.all("find_receipt", params, tuple) if is_generation_id(generation_id) else []
    if not files:
        raise NotFound("There is no generation with media and this id in this workspace.")
    # Before they are marked: killed in between, nothing is sent by a link that the API refuses.
    await _withdraw_links(services, [(id_, index) for id_, index, *_ in files])
    if due := await services.db.all("tombstone_generation", params, _Due):
        await _delete(services, due)


async def claim_end(services: KeepingServices, generation_id: str, index: int) -> bool:
    """Whether the caller may send the last of a file that is delivered once, and then ``delete_delivered``.

    Of all who ask, in any process, one may, and then nobody for a minute: a process that dies in between loses nothing.
    """
    return await services.db.run("claim_end", {"id": generation_id, "index": index}) == 1


async def release_end(services: KeepingServices, generation_id: str, index: int) -> None:
    """The client of who claimed the end of a file left before that: the file stays, for another download."""
    await services.db.run("release_end", {"id": generation_id, "index": index})


async def delete_delivered(services: KeepingServices, generation_id: str, index: int) -> None:
    """Delete a file that was to be delivered once, now that it was."""
    if due := await services.db.all("tombstone_file", {"id": generation_id, "index": index}, _Due):
        await _delete(services, due)


async def _delete(services: KeepingServices, due: list[_Due]) -> int:
    killpoint("expire-after-tombstone")
    keys = [item.key for item in due]
    await _withdraw_links(services, [(item.generation_id, item.index) for item in due])
    await services.store.delete([*keys, *map(thumbnail_key, keys)])
    killpoint("expire-after-delete")
    still_there = await services.store.present(keys)
    if still_there:
        log.error("files are still there after their deletion", count=len(still_there))
    gone = [item for item in due if item.key not in still_there]
    params = {"ids": [item.generation_id for item in gone], "indexes": [item.index for item in gone]}
    await services.db.run("purge", params)
    killpoint("expire-after-purge")
    return len(gone)


async def _withdraw_links(services: KeepingServices, files: list[tuple[str, int]]) -> None:
    if isinstance(services.store, NotingStore):
        await services.store.withdraw_links(files)
