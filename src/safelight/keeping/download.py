"""Step six: from a link to a file, or from its workspace and id; and from a link to a reference image.

The signature is checked first, so that a bad link tells nothing of any row.
"""

from __future__ import annotations

import asyncio
import hashlib
import time

import msgspec

from safelight.domain.errors import DownloadExpired, InvalidSignature, NotFound
from safelight.domain.ids import is_generation_id
from safelight.domain.media import MimeType
from safelight.domain.numbers import whole_number
from safelight.domain.signing import REFERENCE
from safelight.keeping.files import FileToSend
from safelight.keeping.services import KeepingServices
from safelight.keeping.thumbnails import VARIANT, thumbnail_of

_REFERENCE_SECONDS = 300
_REFERENCES_AT_ONCE = asyncio.Semaphore(2)


class _Reference(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    mime_type: MimeType


class _OwnFile(FileToSend, frozen=True, kw_only=True):
    is_kept: bool


async def find_file(
    services: KeepingServices, generation_id: str, index: str, raw_query: bytes, *, variant: str | None = None
) -> FileToSend:
    """The file that a link names; ``variant`` is that of the link, such as ``thumbnail``.

    Raises ``InvalidSignature`` for a link we did not make, whether or not the file exists, and ``DownloadExpired``
    for one that is past its time or whose file is deleted. A file on this machine's disk may have been deleted within
    the last second: the caller looks.
    """
    number = _checked(services, generation_id, index, raw_query, variant)
    if recent := services.recent_files.get(generation_id, number):
        return recent
    row = await services.db.lookup("find_file", {"id": generation_id, "index": number}, FileToSend)
    if row is None:
        raise DownloadExpired
    if services.store.local_path(row.key) is not None:
        services.recent_files.keep(row)
    return row


async def find_reference(services: KeepingServices, generation_id: str, index: str, raw_query: bytes) -> FileToSend:
    """The reference image that a link names, for a backend. Raises as ``find_file`` does."""
    number = _checked(services, generation_id, index, raw_query, REFERENCE)
    row = await services.db.one("find_reference", {"id": generation_id, "index": number}, _Reference)
    if row is None:
        raise DownloadExpired
    try:
        async with _REFERENCES_AT_ONCE:
            data = await services.store.get(row.key)
            digest = await asyncio.to_thread(hashlib.sha256, data)
    except FileNotFoundError:
        raise DownloadExpired from None
    return FileToSend(
        generation_id=generation_id,
        index=number,
        key=row.key,
        mime_type=row.mime_type,
        size_bytes=len(data),
        sha256=digest.digest(),
        is_stored=True,
        deletes_at_unix=int(time.time()) + _REFERENCE_SECONDS,
        variant=REFERENCE,
    )


def _checked(services: KeepingServices, generation_id: str, index: str, raw_query: bytes, variant: str | None) -> int:
    """The index in a link that is good."""
    number = whole_number(index)
    if number is None or str(number) != index:  # one file, one spelling
        raise InvalidSignature
    services.signer.check(generation_id, number, raw_query, time.time(), variant=variant)
    return number


async def file_of(
    services: KeepingServices, workspace_id: int, generation_id: str, index: int, variant: str | None = None
) -> FileToSend:
    """A file of a generation of this workspace, for whoever has shown to be of it; or its ``thumbnail``, a variant.

    Raises ``NotFound``, for another workspace's as for one that never was, and ``DownloadExpired`` once it is deleted.
    """
    params = {"id": generation_id, "index": index, "workspace_id": workspace_id}
    row = await services.db.one("find_own_file", params, _OwnFile) if is_generation_id(generation_id) else None
    if row is None or variant not in (None, VARIANT):
        raise NotFound("There is no generation with this id and this file in this workspace.")
    if not row.is_kept:
        raise DownloadExpired
    return row if variant is None else await thumbnail_of(services, row)
