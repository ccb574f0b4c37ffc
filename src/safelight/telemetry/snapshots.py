"""What a process counted, where its node finds it: a file in the data folder that is its last word, however it ends.

A file and not a socket: nobody has to answer, so that a process which hangs or is stopped holds up no one; what was
counted in the last second of an orderly end is there; and so is what a killed process had written, also for a reader
that was not looking, or was started anew. Its lock tells whether the process lives. Each word is written beside the one
before it, with a checksum: one that breaks off is none.
"""

from __future__ import annotations

import errno
import os
import secrets
import struct
import zlib
from pathlib import Path
from typing import TypeAlias

import msgspec

from safelight import __version__
from safelight.node.data_folder import FileLock
from safelight.node.processes import this_machine
from safelight.node.settings import Settings

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, in the order of the declaration."""
Sample: TypeAlias = tuple[str, Labels, float]
"""Name, labels and value of one series."""

_HEAD = struct.Struct(">QII")
_PLACE_BYTES = 16 * 1024 * 1024  # of one word, as of 1,500 models; where it is shorter, the file has a hole


class Snapshot(msgspec.Struct, array_like=True):
    """``folded``: files whose values are in these ones already. ``version``: of whoever wrote it."""

    samples: list[Sample]
    folded: list[str] = []
    version: str = __version__


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Snapshot).decode


def metrics_folder(settings: Settings) -> Path | None:
    """Where a node's processes write; None where nobody is told.

    It may be shared with other machines: locks reach no further than one, and so do the names of files.
    """
    return None if settings.metrics is None else settings.data_dir.absolute() / "metrics"


def gatherer_lock(folder: Path) -> FileLock:
    """The lock of the one who adds up what has ended, on the file with the sums."""
    return FileLock(folder / f"{this_machine()}.ended")


def files_of_processes(folder: Path) -> list[Path]:
    """Those of this start of this machine, in an order of no meaning."""
    return list(folder.glob(f"{this_machine()}.*.process"))


class Writer:
    """One process's file. Raises ``OSError`` where the disk does not take it; what is there stays."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: FileLock | None = None
        self._count = 0
        self._written = b""

    def open(self) -> None:
        """Make the file where it is not made yet, and hold its lock until the process ends."""
        if self._lock is not None:
            return
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _give(self._folder, self._folder.parent)
        while True:
            lock = FileLock(self._folder / f"{this_machine()}.{secrets.token_hex(8)}.process")
            # Else it was taken for a dead process's, as it had no lock yet.
            if lock.acquire(wait=False) and os.fstat(lock.fileno()).st_nlink:
                _give(lock.fileno(), self._folder)
                self._lock = lock
                return
            lock.release()

    def write(self, samples: list[Sample]) -> None:
        """Write the values, if they are others than those that are there."""
        assert self._lock is not None
        word = _encode(Snapshot(samples))
        if word != self._written:
            self._count += 1
            write_word(self._lock.fileno(), self._count, word)
            self._written = word

    def close(self) -> None:
        """Let go of the lock: the node has the values from here on."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _give(made: Path | int, folder: Path) -> None:
    """What root's command made in somebody's folder is theirs: their node reads and removes it."""
    owner = folder.stat()
    if os.geteuid() == 0 != owner.st_uid:
        os.chown(made, owner.st_uid, owner.st_gid)


def write_word(descriptor: int, count: int, word: bytes) -> None:
    """Write word number ``count`` beside the one before it. Raises ``OSError``."""
    if len(word) > _PLACE_BYTES - _HEAD.size:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    data = _HEAD.pack(count, len(word), zlib.crc32(word)) + word
    place = count % 2 * _PLACE_BYTES
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], place + written)


def read_snapshot(path: Path) -> tuple[int, Snapshot | None]:
    """The newest word of a file that is whole, and its number; None where there is none, or another release wrote it.

    A file that is gone has none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return 0, None
    try:
        words = sorted((_read_word(descriptor, place) for place in (0, _PLACE_BYTES)), reverse=True)
    except OSError:
        return 0, None
    finally:
        os.close(descriptor)
    for count, word in words:
        try:
            snapshot = _decode(word)
        except msgspec.DecodeError:
            continue
        return count, snapshot if snapshot.version == __version__ else None
    return 0, None


def _read_word(descriptor: int, place: int) -> tuple[int, bytes]:
    """0 and nothing where it is not whole."""
    head = os.pread(descriptor, _HEAD.size, place)
    if len(head) == _HEAD.size:
        count, length, checksum = _HEAD.unpack(head)
        word = os.pread(descriptor, min(length, _PLACE_BYTES), place + _HEAD.size)
        if len(word) == length and zlib.crc32(word) == checksum:
            return count, word
    return 0, b""
