"""Connections, and running a statement from ``sql/`` by its name."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib import resources
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.errors import IdleInTransactionSessionTimeout, SerializationFailure
from psycopg.rows import class_row, dict_row, tuple_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from safelight.db.lookups import Lookups
from safelight.db.sessions import Session, cut_off_after, is_sound, session_arguments
from safelight.domain.errors import ServiceUnavailable

Row = TypeVar("Row")
Params = Mapping[str, Any] | msgspec.Struct
"""Of a statement, by name: a mapping, or a struct whose fields they are."""
Connection = AsyncConnection[Any]

log = structlog.get_logger()

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
_PATIENCE_SECONDS = 3.5
_PAUSE_SECONDS = 0.05
_TURNS_AT_ONCE = 2
_LOOK_SECONDS = 0.7
_LOOK_AGAIN_SECONDS = 0.2
_WORTH_ANOTHER_READ_SECONDS = 1.0
_LEAST_RETRY_AFTER_SECONDS, _MOST_RETRY_AFTER_SECONDS = 2.0, 5.0


def _cancellations() -> int:
    """How often the running task was asked to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class NotConnected(ServiceUnavailable):
    """The service is away for a moment. Nothing was charged; try again."""  # nothing was asked of the database


class Database:
    """A pool of autocommit connections. A lost or absent database is ``ServiceUnavailable``.

    Nobody waits for a connection longer than ``_PATIENCE_SECONDS``, and once the database is known to be away no longer
    than a look for it takes. ``answers_soon``: that is also the most that a statement takes, or it is broken off.
    """

    def __init__(self, url: str, *, pool_size: int = 10, answers_soon: bool = False) -> None:
        self.url = url
        self._limit_seconds = _PATIENCE_SECONDS if answers_soon else None
        self._pool: AsyncConnectionPool[Session] = AsyncConnectionPool(
            url,
            connection_class=Session,
            min_size=1,
            max_size=pool_size,
            open=False,
            # Who asks next tries again: the pool's own tries would come ever more rarely.
            reconnect_timeout=0,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 2,
                **session_arguments(statement_seconds=self._limit_seconds),
            },
        )
        self._away: asyncio.Task[None] | None = None
        """Looks for the database while it is known to be away."""
        self._away_since = 0.0
        self._back_at = -math.inf
        self._look: asyncio.Task[bool] | None = None
        self._reason = ""
        self._lookups: dict[tuple[str, type], Lookups[Any]] = {}
        self._turns: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        for task in (self._away, self._look):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._pool.close()

    def waiting(self) -> int:
        """How many wait for a connection now."""
        return self._pool.get_stats().get("requests_waiting", 0)

    @asynccontextmanager
    async def turn(self, workspace_id: int) -> AsyncIterator[None]:
        """While inside, few others of this process are, for the same workspace.

        Raises ``NotConnected`` where it takes too long and answers are wanted soon.

        For what locks the workspace's account until it is committed. While one is, the next may wait for that in the
        database; more would only hold sessions that other workspaces want.
        """
        turns = self._turns.setdefault(workspace_id, asyncio.Semaphore(_TURNS_AT_ONCE))
        try:
            async with asyncio.timeout(self._limit_seconds):
                await turns.acquire()
        except TimeoutError:
            raise NotConnected(retry_after_seconds=self._retry_after_seconds) from None
        try:
            yield
        finally:
            turns.release()

    @asynccontextmanager
    async def connection(self, *, limit_seconds: float | None = None) -> AsyncIterator[Connection]:
        """A connection outside any transaction. Use ``connection.transaction()`` to open one.

        It is broken off where it is needed for longer than ``limit_seconds``, the wait for it included. Raises
        ``ServiceUnavailable``, and its kind ``NotConnected`` where nothing was asked of the database.
        """
        began = time.monotonic()
        limits = [limit for limit in (limit_seconds, self._limit_seconds) if limit is not None]
        connection = await self._sound_connection()
        try:
            with cut_off_after(connection, began + min(limits) - time.monotonic() if limits else None):
                yield connection
            connection.answered_at = time.monotonic()
        except SerializationFailure:
            raise  # another's write came between: the database is there
        except _AWAY as error:
            if connection.closed:
                self._note_away()
            raise ServiceUnavailable(retry_after_seconds=self._retry_after_seconds) from error
        finally:
            await self._pool.putconn(connection)

    async def _sound_connection(self) -> Session:
        """One that stands: sessions may have died while they lay idle. The caller gives it back."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        cancellations = _cancellations()
        if self._away is None or await self._is_there():
            while (left := give_up_at - time.monotonic()) > 0:
                try:
                    connection = await self._pool.getconn(timeout=min(left, 1.0))  # each turn tries to connect anew
                except _AWAY:
                    await asyncio.sleep(_PAUSE_SECONDS)  # a pool that is closed refuses at once
                    continue
                sound = False
                try:
                    if _cancellations() > cancellations:
                        raise asyncio.CancelledError  # came as the connection did, and the pool lost it
                    sound = await is_sound(connection, max(give_up_at - time.monotonic(), 0))
                finally:
                    if not sound:
                        await connection.close()
                        await self._pool.putconn(connection)
                if sound:
                    return connection
                await self._pool.drain()  # the others have lain there as long
        self._note_away()
        raise NotConnected(retry_after_seconds=self._retry_after_seconds)

    @property
    def _retry_after_seconds(self) -> float:
        """As long as it has been away, within bounds: clients repeat a few times only, and outlast 20 s with these."""
        away_seconds = time.monotonic() - self._away_since if self._away is not None else 0.0
        return min(max(away_seconds, _LEAST_RETRY_AFTER_SECONDS), _MOST_RETRY_AFTER_SECONDS)

    def _note_away(self) -> None:
        if self._away is None:
            self._away_since = time.monotonic()
            self._away = asyncio.create_task(self._until_it_is_back(), name="looking for the database")

    async def _until_it_is_back(self) -> None:
        try:
            if await self._is_there():
                return  # it was busy, or one session broke
            log.warning("the database is away", reason=self._reason)
            while True:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                if await self._is_there():
                    break
            await self._pool.drain()
        finally:
            self._away, self._back_at = None, time.monotonic()
        log.info("the database is back")

    async def calm(self, seconds: float) -> None:
        """Wait until the database has been there for so long: what others had to write meanwhile is on record then."""
        if self._away is not None:
            await asyncio.wait([self._away], timeout=seconds)
        await asyncio.sleep(self._back_at + seconds - time.monotonic())

    async def _is_there(self) -> bool:
        """Whether the database takes a new session, by a look that began no earlier than this call."""
        for _ in range(2):  # one that is under way began earlier
            if is_new := self._look is None:
                self._look = asyncio.create_task(self._takes_a_session(), name="look for the database")
            assert self._look is not None
            if await asyncio.shield(self._look):
                return True
            if is_new:
                break
        return False

    async def _takes_a_session(self) -> bool:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                async with await Session.connect(self.url, autocommit=True, **session_arguments()):
                    return True
        except (*_AWAY, TimeoutError) as error:
            self._reason = str(error).partition("\n")[0] or f"no answer in {_LOOK_SECONDS:g} s"
            return False
        finally:
            self._look = None

    @asynccontextmanager
    async def snapshot(self, *, writes: bool = False) -> AsyncIterator[Connection]:
        """A transaction in which every statement sees the same moment; read-only unless it ``writes``.

        One that writes what another has written since fails with ``SerializationFailure``.
        """
        async with self.connection() as connection, connection.transaction():
            mode = "read write" if writes else "read only"
            await connection.execute(f"set transaction isolation level repeatable read, {mode}")
            yield connection

    async def one(self, name: str, params: Params, into: type[Row]) -> Row | None:
        """Run a statement; its first row as ``into``, or None."""
        async with self.connection() as connection:
            return await one(connection, name, params, into)

    async def lookup(self, name: str, params: Mapping[str, Any], into: type[Row]) -> Row | None:
        """As ``one``, in one statement with the same lookups of others who ask meanwhile: of one that may be repeated.

        The statement takes each parameter as a list, one item a lookup, and gives each row its ``place`` in them.
        """
        lookups: Lookups[Row] | None = self._lookups.get((name, into))
        if lookups is None:
            lookups = self._lookups[name, into] = Lookups(partial(self._look_up, name, into))
        return await lookups.find(params)

    async def _look_up(self, name: str, into: type[Row], params: Mapping[str, Any]) -> list[tuple[int, Row]]:
        began = time.monotonic()
        try:
            rows = await self._rows(name, params)
        except NotConnected:
            raise
        except ServiceUnavailable:
            if time.monotonic() - began > _WORTH_ANOTHER_READ_SECONDS:
                raise
            rows = await self._rows(name, params)  # it may be repeated
        return [(row.pop("place"), into(**row)) for row in rows]

    async def _rows(self, name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        async with self.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement(name), params)
            return await cursor.fetchall()

    async def all(self, name: str, params: Params, into: type[Row], *, limit_seconds: float | None = None) -> list[Row]:
        """Run a statement; its rows as ``into``. It is broken off after ``limit_seconds``."""
        async with self.connection(limit_seconds=limit_seconds) as connection:
            return await every(connection, name, params, into)

    async def run(self, name: str, params: Params, *, limit_seconds: float | None = None) -> int:
        """Run a statement; the number of rows it touched. It is broken off after ``limit_seconds``."""
        async with self.connection(limit_seconds=limit_seconds) as connection:
            return await run(connection, name, params)


async def run(connection: Connection, name: str, params: Params) -> int:
    """Run a statement on the caller's connection; the number of rows it touched."""
    return (await connection.execute(statement(name), _by_name(params))).rowcount


async def one(connection: Connection, name: str, params: Params, into: type[Row]) -> Row | None:
    """Run a statement on the caller's connection; its first row as ``into``, or None."""
    cursors = connection.cursors if isinstance(connection, Session) else {}
    cursor = cursors.pop((name, into), None) or connection.cursor(row_factory=_rows(into))
    await cursor.execute(statement(name), _by_name(params))
    row: Row | None = await cursor.fetchone()
    cursors[name, into] = cursor  # one that failed is not used again
    return row


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
