"""A backup of an installation: a tar file that says itself whether it is whole.

Its members lie as in a data folder, beside three of its own:

manifest.json   what it is a backup of, and the hash of SHA256SUMS
database.dump   in pg_dump's custom format
...             files of the data folder, by their paths in it
SHA256SUMS      a line for each member between them, as sha256sum(1) writes it; the last one

The manifest stands in front and is written last, over zeros: what a writer left that was killed is no tar file at all.
Each member's size and hash are those of the bytes that were written, so nothing has to be known before, or held.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Final, Literal, Self

import msgspec

from safelight.domain.errors import ConfigurationError
from safelight.node.data_folder import FileLock

DUMP: Final = "database.dump"
_MANIFEST: Final = "manifest.json"
_SUMS: Final = "SHA256SUMS"
_MANIFEST_BYTES: Final = 4096
_CHUNK_BYTES: Final = 1 << 20
_OWN_FILES: Final = re.compile(r"signing-keys|api-key|provenance/(chain|key|root)\.pem")
_MEDIA: Final = re.compile(r"media/(?:[\w-][\w.-]*/)*[\w-][\w.-]*", re.ASCII)
_LONGEST_NAME: Final = tarfile.LENGTH_NAME


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What the database has, in the moment of the backup; ``files``: those of media, with the references of what is
    under way. ``files_bytes``: of those in the backup. ``segments``: files of the archive in the backup."""

    workspaces: int
    generations: int
    transfers: int
    files: int = 0
    files_bytes: int = 0
    segments: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive is of. ``postgresql``: the major version of the server, and the oldest that reads the dump is
    ``dumped_by``. ``missing`` and ``damaged``: files that should have been in the store, or were not what they are on
    record as; ``deleted`` those that were deleted while the backup was made."""

    format: Literal[1] = 1
    version: str
    revision: str
    postgresql: int
    dumped_by: int
    made_at: datetime
    has_media: bool
    counts: Counts
    missing: int = 0
    damaged: int = 0
    deleted: int = 0
    sums_sha256: str = ""


class BackupWriter:
    """A new backup: whole at ``finish``, and not there before. A context manager; nothing is left without ``finish``.

    ``path`` must not exist. Raises ``ConfigurationError``, and ``OSError`` as the system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._lock = FileLock(self._partial)

    def __enter__(self) -> BackupWriter:
        if os.path.lexists(self.path):
            raise ConfigurationError(f"{self.path} is there already. Choose another name.")
        if not self._lock.acquire(wait=False):  # one that was killed holds none
            raise ConfigurationError(f"Another backup is being written to {self.path}. Wait for it.")
        self._check_is_ours()
        try:
            self._sums = tempfile.TemporaryFile(dir=self.path.parent)
            self._file = os.fdopen(os.dup(self._lock.fileno()), "r+b")
            self._file.truncate(0)
        except OSError:
            self._partial.unlink()
            raise
        self._file.seek(tarfile.BLOCKSIZE + _MANIFEST_BYTES)
        return self

    def _check_is_ours(self) -> None:
        """In a folder where others may write, such as /tmp, they may have put one there, to read or to mislead."""
        facts = os.fstat(self._lock.fileno())
        if facts.st_uid != os.geteuid() or facts.st_nlink != 1 or facts.st_mode & 0o077:
            self._lock.release()
            raise ConfigurationError(f"{self._partial} is not of a backup of this user's. Choose another folder.")

    def add(self, name: str, chunks: Iterable[bytes]) -> str:
        """Add a member; the SHA-256 of its bytes, in hexadecimal."""
        sha256 = self._write(name, chunks)
        self._sums.write(f"{sha256}  {name}\n".encode())
        return sha256

    def add_file(self, name: str, path: Path) -> tuple[int, str]:
        """Add a file; its size in bytes, and its SHA-256. Raises ``FileNotFoundError`` before anything is written."""
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size, self.add(name, _chunks(file))

    def finish(self, manifest: Manifest) -> int:
        """Make it whole, durable and visible; its size in bytes."""
        self._sums.seek(0)
        sums_sha256 = self._write(_SUMS, _chunks(self._sums))
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))
        size_bytes = self._file.tell()
        self._sync()
        text = msgspec.json.encode(msgspec.structs.replace(manifest, sums_sha256=sums_sha256))
        if len(text) > _MANIFEST_BYTES:
            raise AssertionError("the manifest has outgrown its place")
        self._file.seek(0)
        self._file.write(_header(_MANIFEST, _MANIFEST_BYTES) + text.ljust(_MANIFEST_BYTES))
        self._sync()
        self._partial.rename(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)
        return size_bytes

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._partial.unlink(missing_ok=True)
        for file in (self._file, self._sums):
            with suppress(OSError):  # what a full disk did not take
                file.close()
        self._lock.release()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write(self, name: str, chunks: Iterable[bytes]) -> str:
        """The bytes first, then the header in front of them, which has their number."""
        begin = self._file.tell()
        self._file.seek(tarfile.BLOCKSIZE, os.SEEK_CUR)
        digest, size_bytes = hashlib.sha256(), 0
        for chunk in chunks:
            digest.update(chunk)
            self._file.write(chunk)
            size_bytes += len(chunk)
        self._file.write(bytes(-size_bytes % tarfile.BLOCKSIZE))
        end = self._file.tell()
        self._file.seek(begin)
        self._file.write(_header(name, size_bytes))
        self._file.seek(end)
        return digest.hexdigest()


def _header(name: str, size_bytes: int) -> bytes:
    if len(name.encode()) > _LONGEST_NAME:
        raise ValueError(f"{name} is too long for an archive")
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size_bytes, 0o600, int(time.time())
    return info.tobuf(tarfile.GNU_FORMAT)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def extract(archive: Path, folder: Path, look: Callable[[Manifest], None]) -> Manifest:
    """Put an archive's members into an empty folder, once ``look`` has seen its manifest, and raised nothing.

    Nothing of it may be used before this returns: only then is each hash known to be right. What is wrong with the
    archive is a ``ConfigurationError``; ``OSError`` as the system refuses.
    """
    try:
        with (
            archive.open("rb") as raw,
            tarfile.open(fileobj=raw, mode="r|", bufsize=_CHUNK_BYTES, tarinfo=_PlainFile) as members,
        ):
            return _Extraction(archive, folder, members).extract(look)
    except _ForeignMemberError as error:
        raise ConfigurationError(f"{archive} has something in it that is of no backup: {error}.") from None
    except (tarfile.TarError, EOFError):
        raise _not_whole(archive) from None
    except FileNotFoundError as error:
        if error.filename != str(archive):
            raise
        raise ConfigurationError(f"There is no {archive}.") from None
    except IsADirectoryError:
        raise ConfigurationError(f"{archive} is a folder without a backup in it.") from None


class _ForeignMemberError(tarfile.TarError):
    """A member that no backup has; its name."""


class _PlainFile(tarfile.TarInfo):
    """A member as ``BackupWriter`` makes them. Nothing else is read: what other headers say, and how long they say that
    they are, is their writer's."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        member = super().frombuf(buf, encoding, errors)
        if member.type != tarfile.REGTYPE:
            raise _ForeignMemberError(repr(member.name))
        return member


class _Extraction:
    def __init__(self, archive: Path, folder: Path, members: tarfile.TarFile) -> None:
        self._archive = archive
        self._folder = folder
        self._members = members

    def extract(self, look: Callable[[Manifest], None]) -> Manifest:
        manifest = self._manifest()
        look(manifest)
        with tempfile.TemporaryFile(dir=self._folder) as found:
            while (member := self._next()) is not None:
                if member.name == _SUMS:
                    self._check(member, found, manifest)
                    return manifest
                sha256 = self._put(member)
                found.write(f"{sha256}  {member.name}\n".encode())
        raise _not_whole(self._archive)

    def _next(self) -> tarfile.TarInfo | None:
        member = self._members.next()
        self._members.members = []  # type: ignore[attr-defined]  # it would keep all that it has read
        return member

    def _manifest(self) -> Manifest:
        member = self._next()
        if member is None or member.name != _MANIFEST or member.size > _MANIFEST_BYTES:
            raise _not_whole(self._archive)
        text = b"".join(self._read(member))
        try:
            return msgspec.json.decode(text, type=Manifest)
        except msgspec.ValidationError as error:
            raise ConfigurationError(
                f"{self._archive} is of a form that this release does not know ({error}). Restore it with the release "
                "that made it, or a newer one."
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._damaged(_MANIFEST) from None

    def _put(self, member: tarfile.TarInfo) -> str:
        is_media = _MEDIA.fullmatch(member.name) is not None
        if not (is_media or member.name == DUMP or _OWN_FILES.fullmatch(member.name)):
            raise _ForeignMemberError(repr(member.name))
        path = self._folder / PurePosixPath(member.name)
        digest = hashlib.sha256()
        try:
            _make(path.parent, 0o750 if is_media else 0o700)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except (FileExistsError, NotADirectoryError):  # a file of that name, or of its folder's, was in it before
            raise self._damaged(member.name) from None
        with os.fdopen(descriptor, "wb") as file:
            if is_media:
                os.fchmod(descriptor, 0o640)  # as the store has it, whatever the umask
            for chunk in self._read(member):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _read(self, member: tarfile.TarInfo) -> Iterator[bytes]:
        file, left = self._members.extractfile(member), member.size
        assert file is not None
        for chunk in _chunks(file):
            left -= len(chunk)
            yield chunk
        if left:
            raise _not_whole(self._archive)

    def _check(self, member: tarfile.TarInfo, found: IO[bytes], manifest: Manifest) -> None:
        """Hold the list of hashes against its own, and what was found against the list."""
        found.seek(0)
        digest = hashlib.sha256()
        rest = b""
        for chunk in self._read(member):
            digest.update(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if (have := found.readline().rstrip(b"\n")) != line:
                    raise self._damaged((have or line).decode(errors="replace").partition("  ")[2])
        if digest.hexdigest() != manifest.sums_sha256:
            raise self._damaged(_SUMS)
        if rest or found.readline():
            raise self._damaged(_SUMS)

    def _damaged(self, name: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self._archive} is damaged: {name} is not what was backed up. Nothing was restored; use another backup."
        )


def _make(folder: Path, mode: int) -> None:
    if not folder.is_dir():
        _make(folder.parent, mode)
        folder.mkdir()
        folder.chmod(mode)


def _not_whole(archive: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{archive} is no backup of Safelight's, or not whole. Nothing was restored; use another backup."
    )
