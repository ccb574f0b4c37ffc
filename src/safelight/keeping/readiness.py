"""Whether what the media and the money are kept in is there, and fit to be worked on."""

from __future__ import annotations

import asyncio

import msgspec
import structlog
from psycopg.errors import UndefinedTable

from safelight.db.migrate import Standing, standing, too_new
from safelight.domain.errors import ServiceUnavailable
from safelight.keeping.services import KeepingServices

log = structlog.get_logger()

_OK, _AWAY = "ok", "away"
_STORE_SECONDS = 4.0
_PENDING = "pending: run 'safelight migrate'"


class Readiness(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``ok``, or what is wrong, of each thing that was looked at; None where something before it was in the way."""

    database: str
    migrations: str | None = None
    books: str | None = None
    store: str

    @property
    def is_ready(self) -> bool:
        return all(found == _OK for found in (self.database, self.migrations, self.books, self.store))


async def readiness(services: KeepingServices) -> Readiness:
    """Look at the database, its revision, what the last check of the books found, and the store."""
    store, (database, migrations, books) = await asyncio.gather(_store(services), _database(services))
    return Readiness(database=database, migrations=migrations, books=books, store=store)


async def _database(services: KeepingServices) -> tuple[str, str | None, str | None]:
    try:
        migrations = await _migrations(services)
        return _OK, migrations, await _books(services) if migrations == _OK else None
    except ServiceUnavailable:
        return _AWAY, None, None


async def _migrations(services: KeepingServices) -> str:
    try:
        row = await services.db.one("database_revision", {}, tuple)
    except UndefinedTable:
        return _PENDING
    revision = row[0] if row else None
    match standing(revision):
        case Standing.FITTING:
            return _OK
        case Standing.BEHIND:
            return _PENDING
        case Standing.TOO_NEW:
            return f"too new: {too_new(revision)}"


async def _books(services: KeepingServices) -> str:
    """Without the problems' words, which name workspaces: whoever asks has no key."""
    row = await services.db.one("find_books_check", {}, tuple)
    return f"{len(row[0])} out of balance: run 'safelight books'" if row and row[0] else _OK


async def _store(services: KeepingServices) -> str:
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            await services.store.probe()
    except ServiceUnavailable as error:
        log.error("the media store is away", reason=str(error))
        return _AWAY
    except TimeoutError:
        log.error("the media store is away", reason=f"no answer in {_STORE_SECONDS:g} s")
        return _AWAY
    return _OK
