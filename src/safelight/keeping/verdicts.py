"""What a kept file tells of where it comes from, and whether a byte of it has changed since it was made."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import msgspec

from safelight.domain.errors import DownloadExpired
from safelight.keeping.download import file_of
from safelight.keeping.local_file import local_file
from safelight.keeping.services import KeepingServices
from safelight.media.provenance import ProvenanceReport, verify

_REMEMBER = 1000
_AT_ONCE = asyncio.Semaphore(2)


class Standing(StrEnum):
    """``valid``: signed, and not a byte has changed. ``changed``: it is not what was made. ``none``: not signed."""

    VALID = "valid"
    CHANGED = "changed"
    NONE = "none"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a look at a file. ``is_as_made``: its SHA-256 is the one on record."""

    is_as_made: bool
    report: ProvenanceReport

    @property
    def standing(self) -> Standing:
        if not self.is_as_made or (self.report.present and not self.report.valid):
            return Standing.CHANGED
        return Standing.VALID if self.report.present else Standing.NONE


class Verdicts:
    """Looks at files, and remembers what the bytes of each said. ``root_pem`` tells which certificates are trusted."""

    def __init__(self, root_pem: Callable[[], bytes]) -> None:
        self._root_pem = root_pem
        self._known: OrderedDict[bytes, ProvenanceReport] = OrderedDict()

    async def find(self, services: KeepingServices, workspace_id: int, generation_id: str, index: int) -> Verdict:
        """The verdict on a file of this workspace, as it lies in the store now.

        Raises ``NotFound``, and ``DownloadExpired`` once it is deleted.
        """
        found = await file_of(services, workspace_id, generation_id, index)
        loop = asyncio.get_running_loop()
        try:
            async with _AT_ONCE, local_file(services, found) as path:
                sha256 = await loop.run_in_executor(services.media_threads, _digest, path)
                report = self._known.get(sha256)
                if report is None:
                    report = await loop.run_in_executor(services.media_threads, verify, path, self._root_pem())
        except FileNotFoundError:
            raise DownloadExpired from None
        self._known[sha256] = report
        if len(self._known) > _REMEMBER:
            self._known.popitem(last=False)
        return Verdict(is_as_made=sha256 == found.sha256, report=report)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
