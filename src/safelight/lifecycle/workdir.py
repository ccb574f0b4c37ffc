"""Where the files of one run lie until they are in the store: small ones in memory, others in a folder of its own.

Folders and files that soon go again cost a file system more than all else that is done with a small picture. So the
folder is made when it is first asked for, and what is in memory is a file without a name (memfd), where there are such.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path, PosixPath

MOST_IN_MEMORY_BYTES = 4 * 1024 * 1024
_DESCRIPTORS = Path("/proc/self/fd")
_HAS_NAMELESS = hasattr(os, "memfd_create") and _DESCRIPTORS.is_dir()


class _Nameless(PosixPath):
    """A file in memory, by its number. It lasts as long as this path: a thread may outlive its caller, and must not
    write into what has the number next."""

    number: int | None = None

    def __del__(self) -> None:
        if self.number is not None:
            os.close(self.number)


class Workdir:
    """The place of one run, empty at first, to be cleared at its end. ``path``: its folder, if it comes to need one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_made = False

    def folder(self) -> Path:
        """The folder, made at the first call and never again: one that was taken away meanwhile stays away."""
        if not self._is_made:
            self._is_made = True
            self._path.mkdir()
        return self._path

    def place(self, name: str, size_bytes: int) -> Path:
        """Where a file of about that size may be written: hold on to this very path for as long as it is wanted."""
        if size_bytes > MOST_IN_MEMORY_BYTES or not _HAS_NAMELESS:
            return self.folder() / name
        number = os.memfd_create(name)
        path = _Nameless(_DESCRIPTORS / str(number))
        path.number = number
        return path

    def keep(self, name: str, data: bytes) -> bytes | Path:
        """What may have to wait for the store: the data itself, or the file that it was written to if it is large."""
        if len(data) <= MOST_IN_MEMORY_BYTES:
            return data
        path = self.folder() / name
        path.write_bytes(data)
        return path

    def drop(self, path: Path) -> None:
        """Take one file away, so that a folder that is empty at the end costs nothing to take away."""
        if not isinstance(path, _Nameless):
            path.unlink()

    async def clear(self) -> None:
        """Take away the folder and what is left in it."""
        if not self._is_made:
            return
        with suppress(OSError):
            self._path.rmdir()  # the usual case: what was in it has moved into the store
            return
        await asyncio.to_thread(shutil.rmtree, self._path, ignore_errors=True)
