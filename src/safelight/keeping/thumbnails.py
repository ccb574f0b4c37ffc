"""Small pictures of files, made when first asked for and kept beside them until they go."""

from __future__ import annotations

import asyncio
import hashlib
import secrets

import msgspec

from safelight.domain.errors import DownloadExpired, MediaError
from safelight.domain.object_keys import thumbnail_key
from safelight.keeping.files import FileToSend
from safelight.keeping.local_file import local_file
from safelight.keeping.services import KeepingServices
from safelight.media.thumbnail import write_thumbnail

VARIANT = "thumbnail"

_AT_ONCE = asyncio.Semaphore(2)


async def thumbnail_of(services: KeepingServices, found: FileToSend) -> FileToSend:
    """The file's thumbnail (WebP, at most 512 pixels a side). Raises ``DownloadExpired`` if the file is gone."""
    key = thumbnail_key(found.key)
    async with _AT_ONCE:
        if not await services.store.exists(key):
            await _make(services, found, key)
    data = await services.store.get(key)
    return msgspec.structs.replace(
        found,
        key=key,
        mime_type="image/webp",
        size_bytes=len(data),
        sha256=hashlib.sha256(data).digest(),
        is_stored=True,
        variant=VARIANT,
    )


async def _make(services: KeepingServices, found: FileToSend, key: str) -> None:
    small = services.work_dir / f"thumbnail-{secrets.token_hex(8)}.webp"
    try:
        async with local_file(services, found) as source:
            await asyncio.get_running_loop().run_in_executor(services.media_threads, write_thumbnail, source, small)
        await services.store.put(key, small, mime_type="image/webp", consume=True)
        await _check_kept(services, found, key)
    except (FileNotFoundError, MediaError):
        raise DownloadExpired from None
    finally:
        await asyncio.to_thread(small.unlink, missing_ok=True)


async def _check_kept(services: KeepingServices, found: FileToSend, key: str) -> None:
    """A file that was deleted while its thumbnail was made must not leave that behind."""
    if await services.db.lookup("find_file", {"id": found.generation_id, "index": found.index}, FileToSend) is None:
        await services.store.delete([key])
        raise DownloadExpired
