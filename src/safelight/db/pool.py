"""Connections, and running a statement from ``sql/`` by its name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib import resources
from typing import Any, TypeVar

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.errors import IdleInTransactionSessionTimeout
from psycopg.rows import class_row, dict_row, tuple_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from safelight.db.lookups import Lookups
from safelight.domain.errors import ServiceUnavailable

Row = TypeVar("Row")
Params = Mapping[str, Any] | msgspec.Struct
"""Of a statement, by name: a mapping, or a struct whose fields they are."""
Connection = AsyncConnection[Any]

set_json_dumps(msgspec.json.encode)
set_json_loads(msgspec.json.decode)


@cache
def statement(name: str) -> str:
    """The text of ``sql/<name>.sql``, without indentation and lines of comment.

    psycopg parses a statement of more than 4,096 characters anew each time.
    """
    text = resources.files(__package__).joinpath("sql", f"{name}.sql").read_text()
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))


_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, IdleInTransactionSessionTimeout, PoolTimeout)
_IDLE_IN_TRANSACTION_SECONDS = 15
"""A process that is stopped or cut off in a transaction must not keep its rows from everybody else for longer."""
SESSION_OPTIONS = f"-c TimeZone=UTC -c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_SECONDS}s"
"""What every session is told that stays open."""


class Database:
    """A pool of autocommit connections. A lost or absent database is ``ServiceUnavailable``."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=pool_size,
            open=False,
            timeout=10,
            kwargs={"autocommit": True, "prepare_threshold": 2, "options": SESSION_OPTIONS},
        )
        self._lookups: dict[tuple[str, type], Lookups[Any]] = {}

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection outside any transaction. Use ``connection.transaction()`` to open one."""
        try:
            async with self._pool.connection() as connection:
                yield connection
        except _AWAY as error:
            raise ServiceUnavailable from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """A read-only transaction in which every statement sees the same moment."""
        async with self.connection() as connection, connection.transaction():
            await connection.execute("set transaction isolation level repeatable read, read only")
            yield connection

    async def one(self, name: str, params: Params, into: type[Row]) -> Row | None:
        """Run a statement; its first row as ``into``, or None."""
        async with self.connection() as connection:
            return await one(connection, name, params, into)

    async def lookup(self, name: str, params: Mapping[str, Any], into: type[Row]) -> Row | None:
        """As ``one``, in one statement with the same lookups of others who ask meanwhile.

        The statement takes each parameter as a list, one item a lookup, and gives each row its ``place`` in them.
        """
        lookups: Lookups[Row] | None = self._lookups.get((name, into))
        if lookups is None:
            lookups = self._lookups[name, into] = Lookups(partial(self._look_up, name, into))
        return await lookups.find(params)

    async def _look_up(self, name: str, into: type[Row], params: Mapping[str, Any]) -> list[tuple[int, Row]]:
        async with self.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement(name), params)
            return [(row.pop("place"), into(**row)) for row in await cursor.fetchall()]

    async def all(self, name: str, params: Params, into: type[Row]) -> list[Row]:
        """Run a statement; its rows as ``into``."""
        async with self.connection() as connection:
            return await every(connection, name, params, into)

    async def run(self, name: str, params: Params) -> int:
        """Run a statement; the number of rows it touched."""
        async with self.connection() as connection:
            return (await connection.execute(statement(name), _by_name(params))).rowcount


async def one(connection: Connection, name: str, params: Params, into: type[Row]) -> Row | None:
    """Run a statement on the caller's connection; its first row as ``into``, or None."""
    async with connection.cursor(row_factory=_rows(into)) as cursor:
        await cursor.execute(statement(name), _by_name(params))
        return await cursor.fetchone()


async def every(connection: Connection, name: str, params: Params, into: type[Row]) -> list[Row]:
    """Run a statement on the caller's connection; its rows as ``into``."""
    async with connection.cursor(row_factory=_rows(into)) as cursor:
        await cursor.execute(statement(name), _by_name(params))
        return await cursor.fetchall()


def _by_name(params: Params) -> Mapping[str, Any]:
    return msgspec.structs.asdict(params) if isinstance(params, msgspec.Struct) else params


def _rows(into: type[Row]) -> Callable[..., Any]:
    """Rows as a struct of the same field names; as plain tuples for ``tuple``."""
    return tuple_row if into is tuple else class_row(into)
