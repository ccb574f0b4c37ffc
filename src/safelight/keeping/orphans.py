"""Files without a row, and rows without a file: what a crash, or a hand in the store, may have left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from safelight.domain.ids import first_id_at
from safelight.domain.object_keys import generation_of, original_key
from safelight.domain.ports import BlobFacts, NotingStore
from safelight.keeping.services import KeepingServices

log = structlog.get_logger()

_BATCH = 1000


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """``removed``: files that belonged to nothing. ``missing``: keys of files that should be there and are not."""

    removed: int
    missing: tuple[str, ...]


async def sweep_orphans(services: KeepingServices, *, day: datetime, older_than: timedelta) -> Findings:
    """Look at everything of one UTC day, both ways; files younger than ``older_than`` are left alone.

    Keys begin with their day, so that the cost is that of one day's files, however many are kept.
    """
    cutoff = datetime.now(UTC) - older_than
    removed = 0
    for prefix in ("media", "inputs"):
        async for batch in _batches(services, f"{prefix}/{day:%Y/%m/%d}", cutoff):
            unknown = await (_unknown_media(services, batch) if prefix == "media" else _unneeded(services, batch))
            await services.store.delete(unknown)
            removed += len(unknown)
    if isinstance(services.store, NotingStore):
        start = day.replace(hour=0, minute=0, second=0, microsecond=0)
        removed += await services.store.sweep_notes(first_id_at(start), first_id_at(start + timedelta(days=1)))
    missing = tuple([key async for key in _missing(services, day)])
    if removed:
        log.warning("files that belonged to nothing were removed", count=removed, day=f"{day:%Y-%m-%d}")
    for key in missing:
        log.error("a file is missing from the store", key=key)
    return Findings(removed=removed, missing=missing)


async def _batches(services: KeepingServices, prefix: str, cutoff: datetime) -> AsyncIterator[list[str]]:
    batch: list[str] = []
    facts: BlobFacts
    async for facts in services.store.walk(prefix):
        if facts.modified_at < cutoff:
            batch.append(facts.key)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _unknown_media(services: KeepingServices, keys: list[str]) -> list[str]:
    originals = list({original_key(key) for key in keys})
    known = {row[0] for row in await services.db.all("known_keys", {"keys": originals}, tuple)}
    return [key for key in keys if original_key(key) not in known]


async def _unneeded(services: KeepingServices, keys: list[str]) -> list[str]:
    ids = list({generation_of(key) for key in keys})
    under_way = {row[0] for row in await services.db.all("under_way_inputs", {"ids": ids}, tuple)}
    return [key for key in keys if generation_of(key) not in under_way]


async def _missing(services: KeepingServices, day: datetime) -> AsyncIterator[str]:
    start = day.replace(hour=0, minute=0, second=0, microsecond=0)
    last = first_id_at(start + timedelta(days=1))
    after_id, after_index = first_id_at(start), -1
    while page := await services.db.all(
        "list_keys_of_day", {"last": last, "after_id": after_id, "after_index": after_index}, tuple
    ):
        keys = [key for _, _, key, is_kept in page if is_kept]
        present = await services.store.present(keys)
        for key in keys:
            if key not in present:
                yield key
        after_id, after_index, _, _ = page[-1]
