"""Step six: from a link to a file. The signature is checked first, so that a bad link tells nothing of any row."""

from __future__ import annotations

import time

from safelight.domain.errors import DownloadExpired, InvalidSignature
from safelight.keeping.files import FileToSend
from safelight.keeping.services import KeepingServices


async def find_file(
    services: KeepingServices, generation_id: str, index: str, raw_query: bytes, *, variant: str | None = None
) -> FileToSend:
    """The file that a link names; ``variant`` is that of the link, such as ``thumbnail``.

    Raises ``InvalidSignature`` for a link we did not make, whether or not the file exists, and ``DownloadExpired``
    for one that is past its time or whose file is deleted. A file on this machine's disk may have been deleted within
    the last second: the caller looks.
    """
    if not (index.isascii() and index.isdecimal() and str(int(index[:9])) == index):
        raise InvalidSignature
    number = int(index)
    services.signer.check(generation_id, number, raw_query, time.time(), variant=variant)
    if recent := services.recent_files.get(generation_id, number):
        return recent
    row = await services.db.one("find_file", {"id": generation_id, "index": number}, FileToSend)
    if row is None:
        raise DownloadExpired
    if services.store.local_path(row.key) is not None:
        services.recent_files.keep(row)
    return row
