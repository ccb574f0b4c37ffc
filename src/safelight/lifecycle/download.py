"""Step six: from a link to a file. The signature is checked first, so that a bad link tells nothing of any row."""

from __future__ import annotations

import time

import msgspec

from safelight.domain.errors import DownloadExpired, InvalidSignature
from safelight.domain.media import MimeType
from safelight.lifecycle.services import Services


class FileToSend(msgspec.Struct, frozen=True, kw_only=True):
    """A file that may be sent, until the Unix second ``deletes_at_unix``. ``sha256`` is 32 bytes.

    ``is_stored`` False: it is delivered once, and deleted after its first complete download.
    """

    generation_id: str
    index: int
    key: str
    mime_type: MimeType
    size_bytes: int
    sha256: bytes
    is_stored: bool
    deletes_at_unix: int
    variant: str | None = None

    @property
    def name(self) -> str:
        return "-".join((self.generation_id, str(self.index), *([self.variant] if self.variant else [])))


async def find_file(
    services: Services, generation_id: str, index: str, raw_query: bytes, *, variant: str | None = None
) -> FileToSend:
    """The file that a link names; ``variant`` is that of the link, such as ``thumbnail``.

    Raises ``InvalidSignature`` for a link we did not make, whether or not the file exists, and ``DownloadExpired``
    for one that is past its time or whose file is deleted.
    """
    if not (index.isascii() and index.isdecimal() and str(int(index[:9])) == index):
        raise InvalidSignature
    services.signer.check(generation_id, int(index), raw_query, time.time(), variant=variant)
    row = await services.db.one("find_file", {"id": generation_id, "index": int(index)}, FileToSend)
    if row is None:
        raise DownloadExpired
    return row
