"""Files that may be sent, and those that were looked up a moment ago."""

from __future__ import annotations

import time
from collections import OrderedDict

import msgspec

from safelight.domain.media import MimeType

_FRESH_SECONDS = 1.0
_MOST_FILES = 10_000


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


class RecentFiles:
    """What the database said of files within the last second: a player asks for many ranges of one file.

    Only for files that are looked at on disk for each request, so that a deleted one is gone at once all the same.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, int], tuple[float, FileToSend]] = OrderedDict()

    def get(self, generation_id: str, index: int) -> FileToSend | None:
        """The file, unless it was looked up too long ago or is due for deletion."""
        looked_up_at, file = self._found.get((generation_id, index), (0.0, None))
        if file is None or time.monotonic() - looked_up_at > _FRESH_SECONDS or time.time() >= file.deletes_at_unix:
            return None
        return file

    def keep(self, file: FileToSend) -> None:
        """Remember a file that was just looked up; one that is delivered once is not."""
        if not file.is_stored:
            return
        name = (file.generation_id, file.index)
        self._found[name] = (time.monotonic(), file)
        self._found.move_to_end(name)
        if len(self._found) > _MOST_FILES:
            self._found.popitem(last=False)
