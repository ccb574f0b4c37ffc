"""That this process lives, for others to see, and which runners are certainly dead.

A runner's token ends with the number of its process. While the process lives, a session of it with PostgreSQL holds a
lock with that number, and the process itself holds a lock on a file in the data folder. Whoever finds the file's lock
free knows at once that the process has ended: that is for this machine. Others see the session's lock go, and take a
runner for dead once it has been silent for half a lease as well. A runner whose lock stands keeps its whole lease: it
may be slow, or stopped.
"""

from __future__ import annotations

import secrets
import uuid
from pathlib import Path

from safelight.node.data_folder import FileLock
from safelight.node.processes import this_machine


class Presence:
    """Of one process. ``runner`` is what its tokens end with: eight hexadecimal digits."""

    def __init__(self, folder: Path) -> None:
        self.number = secrets.randbits(31)
        self.runner = f"{self.number:08x}"
        self._folder = folder
        self._machine = this_machine()
        self._lock = FileLock(self._file_of(self.runner))

    def open(self) -> None:
        """Take the file's lock, before anything is run."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()

    def close(self) -> None:
        """Let go of it, once nothing is run any more."""
        self._lock.path.unlink(missing_ok=True)
        self._lock.release()

    def run_token(self) -> uuid.UUID:
        """A new token that ends with this runner's number: a UUID of version 8 (RFC 9562), whose bits are ours."""
        token = secrets.randbits(96) << 32 | self.number
        for width, value, place in ((4, 8, 76), (2, 2, 62)):
            token = token & ~((1 << width) - 1 << place) | value << place
        return uuid.UUID(int=token)

    def dead_here(self) -> list[str]:
        """The runners of this machine whose processes have ended without a word."""
        found = (path.stem.rpartition(".")[2] for path in self._folder.glob(f"{self._machine}.*.lock"))
        return [runner for runner in found if self._has_ended(runner)]

    def bury(self, runners: list[str]) -> None:
        """Forget dead runners, once nothing is theirs any more."""
        for runner in runners:
            self._file_of(runner).unlink(missing_ok=True)

    def _file_of(self, runner: str) -> Path:
        return self._folder / f"{self._machine}.{runner}.lock"

    def _has_ended(self, runner: str) -> bool:
        if runner == self.runner:
            return False
        lock = FileLock(self._file_of(runner))
        try:
            return lock.acquire(wait=False)
        finally:
            lock.release()
