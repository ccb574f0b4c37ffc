"""What a web server on the same machine needs to know of files that it sends by their links alone.

For each such file there is a note, found by what a link names: ``.links/BUCKET/ID-INDEX``, where BUCKET is the first
six characters of the id's ULID, so one for every 17 minutes. It is one line of fixed columns ::

    size, 15 digits   deletion, a Unix second, 10 digits   SHA-256, 64 hex digits   WORKSPACE/KEY

and leads to the file through the workspace's gate, ``.links/of/WORKSPACE``, a link to the store's root. A gate that is
closed is a plain file, which stays: nothing of that workspace is reached any more, however many notes there are.

Notes are written only where ``.links/of`` exists (``safelight nginx-config`` makes it). A note is not synced: one that
a power cut took or spoiled leaves its file to the API. A note is never truer than its file: where that is gone, it is
nothing.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from safelight.domain.ports import LinkNote

_FOLDER: Final = ".links"
_GATES: Final = "of"
_BUCKET: Final = slice(4, 10)  # behind ``req-``
_FILE_MODE: Final = 0o640
_FOLDER_MODE: Final = 0o750
_PATH_AT: Final = 92
_ABANDONED_SECONDS: Final = 3600.0


class LinkNotes:
    """The notes of the store in ``root``. What is here blocks, and raises ``OSError``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / _FOLDER
        self._gates = self._folder / _GATES

    def are_wanted(self) -> bool:
        """Whether there is a web server to write for: a look at the disk, of some microseconds."""
        return self._gates.is_dir()

    def want(self) -> None:
        """Have notes written from now on. What root makes is the owner's of the folder above: who writes files."""
        _make(self._gates)

    def write(self, notes: Iterable[LinkNote]) -> None:
        """Note files, each of which lies in the store already."""
        for note in notes:
            with suppress(FileExistsError):  # it is there, or closed for good
                (self._gates / str(note.workspace_id)).symlink_to("../..")
            text = (
                f"{note.size_bytes:015d} {note.deletes_at_unix:010d} {note.sha256} {note.workspace_id}/{note.key}\n"
            ).encode()
            _place(self._path(note.generation_id, note.index), text)

    def withdraw(self, files: Iterable[tuple[str, int]]) -> None:
        """Forget the notes of files, by generation id and index, durably. One that is absent is no error."""
        touched = set()
        for generation_id, index in files:
            path = self._path(generation_id, index)
            with suppress(FileNotFoundError):
                path.unlink()
                touched.add(path.parent)
        for folder in touched:
            _sync(folder)
            with suppress(OSError):  # others are in it
                folder.rmdir()

    def close_gate(self, workspace_id: int) -> None:
        """Nothing of a workspace is reached by notes from now on, durably."""
        closed = self._folder / f".{secrets.token_hex(8)}"
        closed.touch(mode=_FILE_MODE)
        closed.replace(self._gates / str(workspace_id))
        _sync(self._gates)

    def sweep(self, first_id: str, last_id: str) -> int:
        """Remove notes of files that are gone, in the buckets of these ids and between; how many there were."""
        removed, oldest = 0, time.time() - _ABANDONED_SECONDS
        for bucket in self._folder.iterdir() if self._folder.is_dir() else ():
            if not first_id[_BUCKET] <= bucket.name <= last_id[_BUCKET]:
                continue
            for path in bucket.iterdir():
                with suppress(FileNotFoundError):
                    if path.lstat().st_mtime < oldest and not self._leads_to_a_file(path):
                        path.unlink()
                        removed += 1
            with suppress(OSError):  # others are in it
                bucket.rmdir()
        return removed

    def _leads_to_a_file(self, note: Path) -> bool:
        if note.name.startswith("."):  # one that was never finished
            return False
        try:
            key = note.read_text("ascii")[_PATH_AT:].rstrip("\n").partition("/")[2]
            return bool(key) and stat.S_ISREG((self._root / key).lstat().st_mode)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False

    def _path(self, generation_id: str, index: int) -> Path:
        return self._folder / generation_id[_BUCKET] / f"{generation_id}-{index}"


def _make(folder: Path) -> None:
    if folder.is_dir():
        return
    _make(folder.parent)
    _make_one(folder)
    if os.geteuid() == 0:
        above = folder.parent.stat()
        os.chown(folder, above.st_uid, above.st_gid)


def _make_one(folder: Path) -> None:
    """For the web server to look into, whatever the umask of who makes it."""
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(_FOLDER_MODE)


def _place(path: Path, text: bytes) -> None:
    """Write a file whole. Its folder is made where it is missing, and again where an empty one is removed meanwhile."""
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    for attempt in range(5):
        try:
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        except FileNotFoundError:
            if attempt == 4:
                raise
            _make_one(path.parent)
            continue
        try:
            os.fchmod(file, _FILE_MODE)
            os.write(file, text)
        finally:
            os.close(file)
        temporary.replace(path)
        return


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
