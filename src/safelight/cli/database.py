"""The database of a command: the configured one, or the data folder's own, joined or started for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from safelight.db.embedded import EmbeddedPostgres, is_embedded
from safelight.db.migrate import migrate, pending
from safelight.db.pool import Database
from safelight.domain.errors import ConfigurationError, ServiceUnavailable
from safelight.node.data_folder import check_whole, full
from safelight.node.settings import Settings, load_settings

T = TypeVar("T")

_CONNECT_SECONDS = 5


def with_database(data_dir: Path | None, work: Callable[[Database], Awaitable[T]], *, may_create: bool = False) -> T:
    """The answer of ``work`` on the database. ``may_create``: an embedded one is made where there is none."""
    settings = load_settings(data_dir=data_dir)
    with database_url(settings, may_create=may_create) as url, refusals_explained(settings):
        return work_on(url, work)


def work_on(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """The answer of ``work`` on a database of which the URL is known."""

    async def opened() -> T:
        database = Database(url, pool_size=1)
        await database.open()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(opened())


@contextmanager
def database_url(settings: Settings, *, may_create: bool = False) -> Iterator[str]:
    """The URL of a database that answers and is at this release's revision.

    Raises ``ConfigurationError`` with the remedy.
    """
    if settings.database_url:
        check(settings.database_url)
        yield settings.database_url
        return
    check_whole(settings.data_dir)
    if not may_create and not (settings.data_dir / "postgres").is_dir():
        raise ConfigurationError(
            f"There is no database in the data folder {settings.data_dir}. 'safelight up' and "
            "'safelight migrate' make one. For another folder use --data-dir."
        )
    with EmbeddedPostgres(settings.data_dir) as url:
        if may_create and is_pending(url):
            with refusals_explained(settings):
                migrate(url)
        check(url)
        yield url


def check(url: str) -> None:
    """Raise ``ConfigurationError`` unless the database answers and is at this release's revision."""
    if is_pending(url):
        raise ConfigurationError("The database is not at the revision of this release. Run 'safelight migrate' first.")


def is_pending(url: str) -> bool:
    """Whether there is something to migrate. Raises ``ConfigurationError`` where no database answers."""
    try:
        # The first connection only finds out why there may be none, within a limit of time.
        psycopg.connect(url, connect_timeout=_CONNECT_SECONDS).close()
        return pending(url)
    except psycopg.Error as error:
        raise ConfigurationError(
            f"No database at {shown(url)}: {_reason(error)}. Start it, or correct SAFELIGHT_DATABASE_URL."
        ) from None


@contextmanager
def refusals_explained(settings: Settings) -> Iterator[None]:
    """Turn what a database refuses for reasons outside of us into a ``ConfigurationError`` with the remedy.

    Whatever else goes wrong with a statement is a bug, and stays what it is.
    """
    try:
        yield
    except Exception as error:
        wrapped = error.__cause__ if isinstance(error, ServiceUnavailable) else getattr(error, "orig", error)
        message = _refusal(wrapped, settings)
        if message is None:
            raise
        raise ConfigurationError(message) from error


def _refusal(error: object, settings: Settings) -> str | None:
    ours = settings.database_url is None or is_embedded(settings.database_url)
    match error:
        case psycopg.errors.DiskFull() if ours:
            return full(settings.data_dir)
        case psycopg.errors.DiskFull():
            return "The database's disk is full. Free some space there and try again."
        case psycopg.errors.InsufficientPrivilege():
            return f"The database refuses: {_reason(error)}. Let its user make tables, or use the owner's name."
        case psycopg.DataError() | psycopg.IntegrityError():  # its other words show the row, and what is in it
            return (
                f"The database refuses: {error.diag.message_primary or 'a value does not fit'}. Change what you gave."
            )
        case UnicodeError():
            return "An argument is not text in UTF-8. Write it anew."
        case psycopg.OperationalError():
            return f"The database went away: {_reason(error)}. Look at its log, and try again."
    return None


def shown(url: str) -> str:
    """A database URL that may be printed: without the password."""
    try:
        facts = conninfo_to_dict(url)
    except psycopg.Error:
        return "SAFELIGHT_DATABASE_URL"
    place = facts.get("host") or "localhost"
    port = f":{facts['port']}" if facts.get("port") and not str(place).startswith("/") else ""
    return f"{place}{port}/{facts.get('dbname') or ''}"


def _reason(error: psycopg.Error) -> str:
    """The last thing that libpq says is what went wrong; the lines before say what it tried."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    wanted = [line for line in lines if "Is the server running" not in line and "Multiple connection" not in line]
    text = (wanted or lines or [type(error).__name__])[-1]
    return text.rpartition("failed: ")[2].removeprefix("FATAL:").strip().rstrip(".")
