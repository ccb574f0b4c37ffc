"""A real PostgreSQL for tests, and databases on it that are migrated and empty.

Each worker of a session has an embedded server, which ends with the worker, however that ends; or all use the one
that ``SAFELIGHT_TEST_DATABASE_URL`` names, whose user may create databases. One template is migrated; every database
is a copy of it, which takes tens of milliseconds.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from safelight.db.embedded import EmbeddedPostgres
from safelight.db.migrate import migrate
from safelight.db.pool import Database
from tests.support.server import open_folder

T = TypeVar("T")

_HASTE = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",  # a database that is copied is then not written to the log as well
    "max_wal_senders": "0",
    "max_connections": "300",
}


class TestDatabases:
    """Makes databases on the session's server, and drops them at the end."""

    __test__ = False

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._names: list[str] = []
        self._template = self._migrated_template()

    def create(self) -> str:
        """The URL of a new database: migrated, empty, nobody else's."""
        name = f"safelight_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{secrets.token_hex(4)}"
        self._run(sql.SQL("create database {} template {} strategy file_copy"), name, self._template)
        self._names.append(name)
        return with_database(self._server_url, name)

    def create_bare(self) -> str:
        """The URL of a new database without any table."""
        name = f"safelight_test_bare_{secrets.token_hex(4)}"
        self._run(sql.SQL("create database {} template template0"), name)
        self._names.append(name)
        return with_database(self._server_url, name)

    def drop(self, url: str) -> None:
        name = urlsplit(url).path.lstrip("/")
        self._run(sql.SQL("drop database if exists {} with (force)"), name)
        self._names.remove(name)

    def _run(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))

    def _migrated_template(self) -> str:
        name = f"safelight_template_{secrets.token_hex(4)}"
        self._run(sql.SQL("create database {} template template0"), name)
        migrate(with_database(self._server_url, name))
        return name

    def close(self) -> None:
        """Drop everything that was made."""
        for name in list(self._names):
            self.drop(with_database(self._server_url, name))
        self._run(sql.SQL("drop database if exists {} with (force)"), self._template)


@contextmanager
def databases() -> Iterator[TestDatabases]:
    """The databases of one worker."""
    with ExitStack() as stack:
        url = os.environ.get("SAFELIGHT_TEST_DATABASE_URL")
        if not url:
            folder = stack.enter_context(open_folder())
            url = stack.enter_context(EmbeddedPostgres(folder / "server", dies_with_caller=True, settings=_HASTE))
            yield TestDatabases(url)  # they go with the server
            return
        made = TestDatabases(url)
        yield made
        made.close()


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


@asynccontextmanager
async def open_database(url: str, *, pool_size: int = 1) -> AsyncIterator[Database]:
    """The database at ``url``, closed at the end."""
    db = Database(url, pool_size=pool_size)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


def on_database(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """The answer of ``work`` on the database at ``url``, for callers with and without an event loop of their own."""

    async def opened() -> T:
        async with open_database(url) as db:
            return await work(db)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, opened()).result()
