"""Step six: from a link to a file. The signature is checked first, so that a bad link tells nothing of any row."""

from __future__ import annotations

import time

import msgspec

from safelight.domain.errors import DownloadExpired, InvalidSignature
from safelight.domain.media import MimeType
from safelight.lifecycle.services import Services


class FileToSend(msgspec.Struct, frozen=True, kw_only=True):
    """A file that may be sent, until the Unix second ``deletes_at_unix``. ``sha256`` is 32 bytes."""

    name: str
    key: str
    mime_type: MimeType
    size_bytes: int
    sha256: bytes
    deletes_at_unix: int


async def find_file(services: Services, generation_id: str, index: str, raw_query: bytes) -> FileToSend:
    """The file that a link names.

    Raises ``InvalidSignature`` for a link we did not make, whether or not the file exists, and ``DownloadExpired``
    for one that is past its time or whose file is deleted.
    """
    if not (index.isascii() and index.isdecimal() and str(int(index[:9])) == index):
        raise InvalidSignature
    services.signer.check(generation_id, int(index), raw_query, time.time())
    row = await services.db.one("find_file", {"id": generation_id, "index": int(index)}, FileToSend)
    if row is None:
        raise DownloadExpired
    return row
