"""Whether what the media and the money are kept in is there, and fit to be worked on."""

from __future__ import annotations

import msgspec
import structlog
from psycopg.errors import UndefinedTable

from safelight.db.migrate import Standing, standing, too_new
from safelight.domain.errors import ServiceUnavailable
from safelight.keeping.services import KeepingServices

log = structlog.get_logger()

_OK = "ok"
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
    store = await _store(services)
    try:
        migrations = await _migrations(services)
        books = await _books(services) if migrations == _OK else None
    except ServiceUnavailable:
        return Readiness(database="away", store=store)
    return Readiness(database=_OK, migrations=migrations, books=books, store=store)


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
    row = await services.db.one("find_books_check", {}, tuple)
    return ("; ".join(row[0]) if row else "") or _OK


async def _store(services: KeepingServices) -> str:
    try:
        await services.store.probe()
    except ServiceUnavailable as error:
        log.error("the media store is away", reason=error.message)
        return "away"
    return _OK
