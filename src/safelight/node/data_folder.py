"""The data folder: making it, private files in it, locks on it, and its troubles explained in one line."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safelight.domain.errors import ConfigurationError

RESTORING = ".restoring"
"""Where a restore puts everything together: a data folder that has it is half a one."""

_ELSEWHERE = "or choose another folder with --data-dir"


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses in ``folder`` into a ``ConfigurationError`` with the remedy."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(explain(error, folder)) from error


def explain(error: OSError, folder: Path) -> str:
    """One line that says what is wrong with the data folder and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return full(folder)
    place = error.filename or folder
    if error.errno == errno.EROFS:
        return f"{place} is on a read-only file system. Mount it writable, {_ELSEWHERE}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"No permission for {place}. Let this user read and write the data folder {folder}, {_ELSEWHERE}."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"The data folder {folder} cannot be made: a part of its path is a file. Move it, {_ELSEWHERE}."
    return f"The data folder {folder} is not usable: {error.strerror or error} ({place}). Mend it, {_ELSEWHERE}."


def full(folder: Path) -> str:
    """The line for a full disk."""
    return f"The disk that holds the data folder {folder} is full. Free some space, {_ELSEWHERE}."


def prepare(folder: Path) -> Path:
    """Make the data folder where it is missing; its absolute path.

    A new one is closed to other users, except that root's may be passed through: the embedded database runs
    as another user there.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - resolve() would follow links, and fail on some
    with explained(folder):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
        _check_access(folder)
        check_whole(folder)
    return folder


def check_whole(folder: Path) -> None:
    """Find what a restore that was ended midway left. Raises ``ConfigurationError``."""
    if (folder / RESTORING).exists():
        raise ConfigurationError(
            f"A restore into {folder} is under way, or was ended midway. Wait for it; or delete the folder, and run "
            "'safelight restore' again."
        )


def usable(folder: Path) -> tuple[Path, bool]:
    """Its absolute path, and whether it is there; if not, it could be made. Raises ``ConfigurationError``."""
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - as in prepare
    with explained(folder):
        exists = folder.exists()
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(nearest))
        _check_access(nearest)
        check_whole(folder)
    return folder, exists


def _check_access(folder: Path) -> None:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        is_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(number, os.strerror(number), str(folder))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all; trouble is explained as the data folder's."""
    with explained(path.parent):
        write_closed(path, text)


def write_closed(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all. Raises ``OSError``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


class FileLock:
    """A lock on a file that the kernel lets go of when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False, wait: bool = True) -> bool:
        """Take the lock, or change the kind held. False: somebody else has it, and ``wait`` is off."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(self._descriptor, kind)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def fileno(self) -> int:
        """The descriptor, for a child that is to hold the lock as well."""
        if self._descriptor is None:
            raise RuntimeError("the lock is not held")
        return self._descriptor

    def note(self, text: str) -> None:
        """Leave a word for those who find the lock taken. Call it while holding the lock."""
        os.ftruncate(self.fileno(), 0)
        os.pwrite(self.fileno(), text.encode(), 0)

    def read_note(self) -> str:
        """The holder's word, or an empty string."""
        with suppress(OSError):
            return self.path.read_text().strip()
        return ""

    @contextmanager
    def held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()
