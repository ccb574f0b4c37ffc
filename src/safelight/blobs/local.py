"""A folder on this machine's disk as an object store.

obstore has a local store too, but it closes and renames without any fsync (seen by tracing its system calls
in 0.12), so a power cut may leave an announced file empty. Here an object is written under a temporary name
in the same file system, synced, renamed into place, and its folder synced: two fsyncs for an object in a
folder already in use, one more for each folder that is new to this process.

Objects lie at ``root/key``. Temporaries lie in ``root/.incoming``, and notes for a web server in ``root/.links``
(``safelight.blobs.link_notes``), which no key can name.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import shutil
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, ParamSpec, TypeVar

from safelight.blobs.checks import check_key, check_prefix, check_range, is_key
from safelight.blobs.link_notes import LinkNotes
from safelight.domain.errors import ServiceUnavailable, StoreFull
from safelight.domain.ports import BlobFacts, LinkNote

CHUNK_BYTES: Final = 112 * 1024
"""What one reader of ``stream`` holds in memory.

Below 128 KiB, from where the C library maps and clears fresh memory for each chunk; and it fits a processor's cache.
"""

_INCOMING: Final = ".incoming"
_LEFTOVER_SECONDS: Final = 24 * 3600.0  # no upload takes a day, so an older temporary is a dead process's
_FILE_MODE: Final = 0o640  # the group may read: that is how a web server in front sends the files itself
_FOLDER_MODE: Final = 0o750
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FOLDERS: Final = 512
_WALK_BATCH: Final = 1000
_ABSENT: Final = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)

P = ParamSpec("P")
T = TypeVar("T")


class LocalStore:
    """Objects as files under ``root``, which is made when first needed.

    Disk work runs in ``threads`` threads of its own, so that waiting for the disk holds up neither the
    event loop nor its default executor. A cancelled ``put`` or ``delete`` may still complete.
    """

    def __init__(self, root: Path, *, threads: int = 8) -> None:
        self.root = root.absolute()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="blobs")
        self._folders = _Folders(self.root)
        self._swept = False
        self._notes = LinkNotes(self.root)

    async def put(self, key: str, source: Path | bytes, *, mime_type: str, consume: bool = False) -> None:
        """Store a file, by its path or by its bytes, durably; the type is the file's own affair here.

        With ``consume`` a plain file on the same file system is moved, not copied, and elsewhere it is
        deleted once it is stored. Raises ``FileNotFoundError`` for a missing source and
        ``ServiceUnavailable`` if the disk is full or refuses; then nothing new is visible and no temporary
        is left.
        """
        await self._run(self._put, check_key(key), source, consume)

    async def put_made(self, key: str, make: Callable[[], bytes | Path]) -> None:
        await self._run(self._put_made, check_key(key), make)

    async def get(self, key: str) -> bytes:
        """The whole object. Raises ``FileNotFoundError``."""
        return await self._run(self._get, check_key(key))

    async def stream(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes ``start`` to ``end`` (exclusive), by 112 KiB. The file stays readable though it is deleted
        meanwhile. What is in memory is read at once: that is quicker than asking a thread.

        Raises ``FileNotFoundError``, and ``ServiceUnavailable`` where the object is shorter than ``end``.
        """
        check_range(start, end)
        file = self._open(check_key(key), end)
        while start < end:
            size_bytes = min(end - start, CHUNK_BYTES)
            if _is_in_memory(file, start + size_bytes - 1):
                chunk = _read(file, start, size_bytes)
            else:
                chunk = await self._run(_read, file, start, size_bytes)
            start += len(chunk)
            yield chunk

    def local_path(self, key: str) -> Path | None:
        """Where the object lies, or would lie."""
        return self.root / check_key(key)

    async def delete(self, keys: list[str]) -> None:
        """Delete objects durably: each folder is synced once, then removed if nothing is left in it."""
        await self._run(self._delete, [check_key(key) for key in keys])

    async def exists(self, key: str) -> bool:
        return await self._run(self._exists, check_key(key))

    async def present(self, keys: list[str]) -> set[str]:
        """Those of the objects that are there."""
        return await self._run(self._present, [check_key(key) for key in keys])

    async def walk(self, prefix: str) -> AsyncIterator[BlobFacts]:
        """Every object in the folder ``prefix`` and below, in no order; what is no object of ours is left
        out."""
        found = self._walk(check_prefix(prefix))
        try:
            while batch := await self._run(_take, found):
                for facts in batch:
                    yield facts
        finally:
            found.close()

    async def want_notes(self) -> None:
        await self._run(self._noted, self._notes.want)

    async def note_links(self, notes: list[LinkNote]) -> None:
        if self._notes.are_wanted():
            await self._run(self._noted, self._notes.write, notes)

    async def withdraw_links(self, files: list[tuple[str, int]]) -> None:
        if self._notes.are_wanted():
            await self._run(self._noted, self._notes.withdraw, files)

    async def withdraw_workspace(self, workspace_id: int) -> None:
        if self._notes.are_wanted():
            await self._run(self._noted, self._notes.close_gate, workspace_id)

    async def sweep_notes(self, first_id: str, last_id: str) -> int:
        return await self._run(self._noted, self._notes.sweep, first_id, last_id)

    async def probe(self) -> None:
        """Write, read and delete a small object; raises ``ServiceUnavailable`` with the reason."""
        await self._run(self._probe)

    async def close(self) -> None:
        """Waits for the work in hand."""
        await asyncio.to_thread(self._threads.shutdown)
        self._folders.forget()

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))

    # What follows runs in the store's threads, but for ``_open``.

    def _noted(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with _store_errors():
            return work(*args, **kwargs)

    def _put_made(self, key: str, make: Callable[[], bytes | Path]) -> None:
        self._put(key, make(), consume=True)

    def _put(self, key: str, source: Path | bytes, consume: bool) -> None:
        if isinstance(source, bytes):
            with _store_errors():
                self._store(key, partial(_write, source))
            return
        with source.open("rb", buffering=0) as file:
            if not (consume and self._move(key, source, file.fileno())):
                with _store_errors():
                    self._store(key, partial(_copy, file.fileno()))
                if consume:
                    with suppress(OSError):  # the object is safe; the caller sweeps its own folder
                        source.unlink()

    def _move(self, key: str, source: Path, file: int) -> bool:
        """Rename ``source`` into place. False where that cannot be: a link, or not ours to move."""
        facts = source.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            return False
        with _store_errors():
            try:
                os.utime(file)  # when it was stored
                _seal(file)
                self._place(key, source)
            except OSError as error:
                if error.errno in (errno.EXDEV, errno.EPERM, errno.EACCES):
                    return False
                raise
        return True

    def _store(self, key: str, write: Callable[[int], None]) -> None:
        """Write a temporary, sync it and rename it into place; take it away if anything fails."""
        temporary = self._incoming() / secrets.token_hex(16)
        try:
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
            try:
                write(file)
                _seal(file)
            finally:
                os.close(file)
            self._place(key, temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _place(self, key: str, file: Path) -> None:
        """Rename ``file`` to its key and sync the folder."""
        path, _, name = key.rpartition("/")
        for attempt in range(5):
            try:
                folder = self._folders.get(path)
                os.replace(file, name, dst_dir_fd=folder.number)
            except FileNotFoundError:
                # Somebody removed the empty folder in between: a folder that is gone takes no entry.
                self._folders.forget()
                if attempt == 4:
                    raise
            else:
                os.fsync(folder.number)
                return

    def _incoming(self) -> Path:
        path = self.root / _INCOMING
        if not self._swept:
            self._folders.get("")
            path.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            _remove_leftovers(path)
            self._swept = True
        return path

    def _open(self, key: str, size_bytes: int) -> _Descriptor:
        """The object's file, which must have at least that size."""
        with _store_errors(key):
            file = _Descriptor(os.open(f"{self.root}/{key}", os.O_RDONLY | os.O_CLOEXEC))
            facts = os.fstat(file.number)
        if not stat.S_ISREG(facts.st_mode):
            raise _absent(key)
        if facts.st_size >= size_bytes:
            return file
        raise ServiceUnavailable(
            detail=f"The stored object {key} is shorter than the {size_bytes} bytes it should have."
        )

    def _get(self, key: str) -> bytes:
        with _store_errors(key):
            return (self.root / key).read_bytes()

    def _exists(self, key: str) -> bool:
        try:
            with _store_errors(key):
                return stat.S_ISREG((self.root / key).stat().st_mode)
        except FileNotFoundError:
            return False

    def _present(self, keys: list[str]) -> set[str]:
        root, found = f"{self.root}/", set()
        with _store_errors():
            for key in keys:
                try:
                    if stat.S_ISREG(os.stat(root + key).st_mode):  # noqa: PTH116  (called by the thousand)
                        found.add(key)
                except OSError as error:
                    if error.errno not in _ABSENT:
                        raise
        return found

    def _delete(self, keys: list[str]) -> None:
        root, folders = f"{self.root}/", {self.root / path for path in {key.rpartition("/")[0] for key in keys}}
        with _store_errors():
            try:
                for key in keys:
                    try:
                        os.unlink(root + key)  # noqa: PTH108  (called by the thousand)
                    except OSError as error:
                        if error.errno not in _ABSENT:
                            raise
            finally:
                # Also where nothing was left to delete: an earlier attempt may have died before it synced.
                for folder in folders:
                    _sync_folder(folder)
        for folder in folders:
            self._prune(folder)

    def _prune(self, folder: Path) -> None:
        """Remove a folder that has become empty, and its parents likewise, up to the root."""
        with suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent

    def _walk(self, prefix: str) -> Generator[BlobFacts, None, None]:
        folders = [prefix]
        while folders:
            folder = folders.pop()
            try:
                with _store_errors(folder), os.scandir(self.root / folder) as entries:
                    for entry in entries:
                        key = f"{folder}/{entry.name}" if folder else entry.name
                        if not is_key(key):
                            continue
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(key)
                        elif facts := _facts(key, entry):
                            yield facts
            except FileNotFoundError:
                continue  # removed while we walked

    def _probe(self) -> None:
        key, content = f"_probe/{secrets.token_hex(16)}", secrets.token_bytes(64)
        try:
            with _store_errors():
                self._store(key, partial(_write, content))
            if self._get(key) != content:
                raise ServiceUnavailable(detail="The media folder gave back other bytes than were written.")
        finally:
            self._delete([key])


class _Descriptor:
    """An open file or folder, closed when nothing refers to it: a thread may outlive its caller."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class _Folders:
    """The folders in use, opened, each certainly entered in its parent on disk.

    Keeping them open spares the system calls of finding them again, and is what makes it safe to remove
    empty ones: a removed folder takes no new entry through its descriptor, not even if a new one has its
    name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: OrderedDict[str, _Descriptor] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str) -> _Descriptor:
        """The folder of that key, made if it is absent; the root for an empty one. Raises ``OSError``."""
        with self._lock:
            if folder := self._open.get(path):
                self._open.move_to_end(path)
                return folder
        folder = self._make(path)
        with self._lock:
            self._open[path] = folder
            if len(self._open) > _OPEN_FOLDERS:
                self._open.popitem(last=False)
        return folder

    def forget(self) -> None:
        with self._lock:
            self._open.clear()

    def _make(self, path: str) -> _Descriptor:
        if not path:
            if not self._root.is_dir():
                self._root.mkdir(parents=True, exist_ok=True)
                self._root.chmod(_FOLDER_MODE)
            _sync_folder(self._root.parent)
            return _Descriptor(os.open(self._root, _FOLDER_FLAGS))
        above, _, name = path.rpartition("/")
        parent = self.get(above)
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=parent.number)
            os.chmod(name, _FOLDER_MODE, dir_fd=parent.number)  # whatever the umask, as of files
        # Also where another process made it: whether that one has come to its own fsync is unknown here.
        os.fsync(parent.number)
        return _Descriptor(os.open(name, _FOLDER_FLAGS, dir_fd=parent.number))


class _store_errors:  # noqa: N801  (used as a function; one made of a generator takes four times as long)
    """Turns the system's errors into ours. With a ``key`` that is read, its absence stays ``FileNotFoundError``."""

    __slots__ = ("_key",)

    def __init__(self, key: str | None = None) -> None:
        self._key = key

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not isinstance(error, OSError):
            return
        if self._key is not None and error.errno in _ABSENT:
            raise _absent(self._key) from None
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (StoreFull if is_full else ServiceUnavailable)(detail=_failure(error)) from error


def _failure(error: OSError) -> str:
    reason = os.strerror(error.errno) if error.errno else str(error)
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"The media folder is full ({reason}). Free space on its disk, or shorten retention."
        case errno.EROFS | errno.EACCES | errno.EPERM:
            return f"The media folder refuses access ({reason}). Let this process read and write it."
        case _:
            return f"The media folder failed ({reason})."


def _absent(key: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "no such object", key)


def _copy(source: int, target: int) -> None:
    """Copy in the kernel where it can (a reflink where the file system shares blocks), and the rest by
    hand."""
    if hasattr(os, "copy_file_range"):
        with suppress(OSError):  # not between these file systems; a full disk shows again below
            while os.copy_file_range(source, target, 1 << 30):
                pass
    with open(source, "rb", closefd=False) as reader, open(target, "wb", closefd=False) as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)


def _write(content: bytes, target: int) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(target, left) :]


def _seal(file: int) -> None:
    """Give a finished file its mode, and sync it. The mode is the same whatever the process's umask is."""
    os.fchmod(file, _FILE_MODE)
    os.fsync(file)


def _read(file: _Descriptor, start: int, size_bytes: int) -> bytes:
    with _store_errors():
        chunk = os.pread(file.number, size_bytes, start)
    if not chunk:
        raise ServiceUnavailable(detail="A stored object became shorter while it was read.")
    return chunk


def _is_in_memory(file: _Descriptor, place: int) -> bool:
    """Whether the kernel has that byte in memory, and so most likely those before it, which it reads first."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    try:
        return os.preadv(file.number, [bytearray(1)], place, os.RWF_NOWAIT) == 1
    except OSError:  # it is not, or the file system cannot tell
        return False


def _sync_folder(path: Path) -> None:
    try:
        folder = os.open(path, _FOLDER_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporaries of processes that died long ago."""
    oldest = time.time() - _LEFTOVER_SECONDS
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()


def _facts(key: str, entry: os.DirEntry[str]) -> BlobFacts | None:
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        return None
    modified_at = datetime.fromtimestamp(facts.st_mtime, UTC)
    return BlobFacts(key=key, size_bytes=facts.st_size, modified_at=modified_at)


def _take(found: Iterable[BlobFacts]) -> list[BlobFacts]:
    return list(islice(found, _WALK_BATCH))
