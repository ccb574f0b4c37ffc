"""``safelight backup``: the embedded database, the media beside it and the data folder's secrets, in one file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from cyclopts import Parameter

from safelight import __version__
from safelight.cli.database import refusals_explained, shown
from safelight.cli.options import DataDir
from safelight.cli.show import cell
from safelight.db import binaries
from safelight.db.dump import KeptFile, Moment, moment_of, still_kept
from safelight.db.embedded import EmbeddedPostgres
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import BlobStore
from safelight.node.backup_file import DUMP, BackupWriter, Counts, Manifest
from safelight.node.certificates import CHAIN, KEY, ROOT
from safelight.node.data_folder import check_whole
from safelight.node.settings import Settings, load_settings
from safelight.wiring import open_media_store
from safelight.wiring.checks import without_secrets

OWN_FILES = ("signing-keys", "api-key", *(f"provenance/{name}" for name in (CHAIN, KEY, ROOT)))
PAGE = "docs/backup.md tells how."


class Stored(msgspec.Struct, kw_only=True):
    """What became of the store's files: how many are in the backup, how large they are, and what was odd.

    ``segments``: those of the archive, which are not among ``files``. ``lost``: those of them that are missing.
    """

    files: int = 0
    files_bytes: int = 0
    segments: int = 0
    lost: list[str] = msgspec.field(default_factory=list)
    damaged: list[str] = msgspec.field(default_factory=list)
    absent: list[str] = msgspec.field(default_factory=list)


def backup(
    target: Annotated[Path, Parameter(help="The file to write, or a folder: a file in it, named by the time.")],
    *,
    no_media: Annotated[
        bool, Parameter(negative="", help="Leave the media out: you copy those in another way, afterwards.")
    ] = False,
    data_dir: DataDir = None,
) -> int:
    """Back up an installation that has its database in its data folder, whether it runs or not."""
    settings = load_settings(data_dir=data_dir)
    _check(settings, no_media=no_media)
    path = target / f"safelight-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar" if target.is_dir() else target
    server = EmbeddedPostgres(settings.data_dir, of_any_version=True)
    with _explained(path), server as url, refusals_explained(settings), BackupWriter(path) as archive:
        stored = Stored()
        with moment_of(url) as moment:
            archive.add(DUMP, moment.dump())
            secret = [name for name in OWN_FILES if _add(archive, name, settings.data_dir / name)]
            if _is_local(settings):
                store = open_media_store(settings)
                _add_segments(archive, moment, store, stored)
                if not no_media:
                    _add_media(archive, moment, store, stored)
        missing = [*stored.lost, *still_kept(url, stored.absent)]
        manifest = Manifest(
            version=__version__,
            revision=moment.revision,
            postgresql=moment.server_version,
            dumped_by=binaries.newest()[0],
            made_at=moment.at,
            has_media=not no_media,
            counts=Counts(
                **msgspec.structs.asdict(moment.counted),
                files=stored.files,
                files_bytes=stored.files_bytes,
                segments=stored.segments,
            ),
            missing=len(missing),
            damaged=len(stored.damaged),
            deleted=len(stored.absent) + len(stored.lost) - len(missing),
        )
        size_bytes = archive.finish(manifest)
    _print(path, size_bytes, manifest, secret, settings)
    for key in missing:
        print(f"MISSING from the store: {cell(key)}")
    for key in stored.damaged:
        print(f"DAMAGED in the store: {cell(key)}")
    return 1 if missing or stored.damaged else 0


def _check(settings: Settings, *, no_media: bool) -> None:
    """Raise ``ConfigurationError`` where something of it is somebody else's to back up."""
    if settings.database_url:
        raise ConfigurationError(
            f"The database at {shown(settings.database_url)} is none of this command's: back it up with PostgreSQL's "
            f"own tools, or those of whoever runs it. {PAGE}"
        )
    if not no_media and not _is_local(settings):
        raise ConfigurationError(
            f"The media in {without_secrets(settings.media_store_url)} is none of this command's: add --no-media, and "
            f"let the bucket keep versions. {PAGE}"
        )
    check_whole(settings.data_dir)
    if not (settings.data_dir / "postgres").is_dir():
        raise ConfigurationError(
            f"There is no database in the data folder {settings.data_dir}. For another folder use --data-dir."
        )


def _is_local(settings: Settings) -> bool:
    """Whether the media lies in a folder; a bucket keeps what is in it, the archive as well."""
    return urlsplit(settings.media_store_url).scheme == "file"


def _add(archive: BackupWriter, name: str, path: Path) -> bool:
    """Whether there is such a file to add."""
    try:
        archive.add_file(name, path)
    except FileNotFoundError:
        return False
    return True


def _add_media(archive: BackupWriter, moment: Moment, store: BlobStore, stored: Stored) -> None:
    """Add what the store had in that moment. A file is never changed, so that it is what it was, or is gone."""
    for kept in moment.files():
        size_bytes = _add_stored(archive, kept, store, stored)
        if size_bytes is None:
            stored.absent.append(kept.key)
            continue
        stored.files += 1
        stored.files_bytes += size_bytes


def _add_segments(archive: BackupWriter, moment: Moment, store: BlobStore, stored: Stored) -> None:
    """Add the archive, also where the media is left out: it is of the ledger."""
    for kept in moment.segments():
        if _add_stored(archive, kept, store, stored) is None:
            stored.lost.append(kept.key)
        else:
            stored.segments += 1


def _add_stored(archive: BackupWriter, kept: KeptFile, store: BlobStore, stored: Stored) -> int | None:
    """The size of a file of the store that was added; None: it is gone."""
    path = store.local_path(kept.key)
    assert path is not None
    try:
        size_bytes, sha256 = archive.add_file(f"media/{kept.key}", path)
    except FileNotFoundError:
        return None
    if kept.sha256 is not None and kept.sha256.hex() != sha256:
        stored.damaged.append(kept.key)
    return size_bytes


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system refuses where the archive is to be into a ``ConfigurationError``."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).rstrip(".")
        raise ConfigurationError(f"There is no backup {path}: {error.filename or path.parent}: {why}.") from error


def _print(path: Path, size_bytes: int, manifest: Manifest, secret: list[str], settings: Settings) -> None:
    print(f"{cell(path)}: {megabytes(size_bytes)}, of {cell(manifest.made_at)}.")
    print(f"{what_is_in(manifest)}.")
    print(f"It holds secrets ({', '.join(secret)}) and every prompt. Only its owner reads it (mode 0600): keep it so.")
    if manifest.deleted:
        print(f"{manifest.deleted:,} files were deleted while it was made. They are not in it.")
    for name, what in ((settings.signing_keys, "SIGNING_KEYS"), (settings.provenance_dir, "PROVENANCE_DIR")):
        if name:
            print(f"What SAFELIGHT_{what} gives is not in it: keep that as well.")


def what_is_in(manifest: Manifest) -> str:
    """Its counts, in words."""
    counts = manifest.counts
    archived = f", {counts.segments:,} segments of the archive" if counts.segments else ""
    media = f"{counts.files:,} files of {megabytes(counts.files_bytes)}" if manifest.has_media else "no media"
    return f"{counts.workspaces:,} workspaces, {counts.generations:,} generations{archived}, {media}"


def megabytes(size_bytes: int) -> str:
    """Of 1,000,000 bytes each, to a tenth."""
    return f"{size_bytes / 1e6:,.1f} MB"
