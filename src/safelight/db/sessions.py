"""What every session with PostgreSQL is told, and how one that does not answer is given up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import time
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

_IDLE_IN_TRANSACTION_SECONDS = 15
"""A process that is stopped or cut off in a transaction must not keep its rows from everybody else for longer."""
_CONNECT_SECONDS = 3
_SILENT_PEER_SECONDS = 10
_TRUSTED_SECONDS = 5.0
_CHECK_SECONDS = 1.0


RV = TypeVar("RV")


class Session(AsyncConnection[Any]):
    """A session of the pool, with the time (monotonic) at which it last answered.

    The event loop watches its socket from the first answer on. psycopg would have it watched anew for each, and wake
    ten times a second to see whether somebody has closed it meanwhile.

    ``cursors``: those that lie idle, by a statement's name and the type of its row. A cursor that runs its statement
    again knows how each parameter is written and each column is read; a new one looks all of that up.
    """

    answered_at: float = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursors: dict[tuple[str, type], AsyncCursor[Any]] = {}
        self._watched: int | None = None
        """The socket's number while the loop watches it."""
        self._answer: asyncio.Future[None] | None = None
        """Somebody waits for an answer."""

    async def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:  # noqa: ASYNC109  (psycopg's)
        try:
            state = next(gen)
            while state == Wait.R and timeout is None:
                await self._has_answered()
                state = gen.send(Ready.R)
        except StopIteration as end:
            result: RV = end.value
            return result
        except asyncio.CancelledError as interruption:
            self._unwatch()
            return await super().wait(_Begun(gen, interruption), interval)  # it tells the server, and raises
        except BaseException:
            self._unwatch()  # before another file gets the number of a socket that was closed
            raise
        self._unwatch()
        return await super().wait(_Begun(gen, state), interval, timeout)

    async def close(self) -> None:
        self._unwatch()
        await super().close()

    async def _has_answered(self) -> None:
        loop = asyncio.get_running_loop()
        if self._watched is None:
            self._watched = self.pgconn.socket
            loop.add_reader(self._watched, self._on_input)
        self._answer = loop.create_future()
        try:
            await self._answer
        finally:
            self._answer = None

    def _on_input(self) -> None:
        if self._answer is None:
            self._unwatch()  # the server has ended the session, or says something that nobody asked
        elif not self._answer.done():
            self._answer.set_result(None)

    def _unwatch(self) -> None:
        if self._watched is not None:
            asyncio.get_running_loop().remove_reader(self._watched)
            self._watched = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)


class _Begun(Generator[Wait, Ready | int, RV]):
    """The rest of what was begun: first comes what it last said, or what broke off the wait for it."""

    def __init__(self, gen: PQGen[RV], said: Wait | BaseException) -> None:
        self._gen = gen
        self._said: Wait | BaseException | None = said

    def send(self, ready: Ready | int) -> Wait:
        said, self._said = self._said, None
        if said is None:
            return self._gen.send(ready)
        if isinstance(said, BaseException):
            raise said
        return said

    def throw(self, *error: Any) -> Wait:
        return self._gen.throw(*error)


def session_arguments(*, statement_seconds: float | None = None) -> dict[str, Any]:
    """For ``connect``: what every session that stays open is told, and when its silence is its end.

    ``statement_seconds``: the longest that the server works on one of its statements, or waits for a lock in it.
    """
    options = f"-c TimeZone=UTC -c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_SECONDS}s"
    if statement_seconds is not None:
        options += f" -c statement_timeout={round(1000 * statement_seconds)}"
    return {
        "options": options,
        "connect_timeout": _CONNECT_SECONDS,
        # The kernel tells of a peer that is gone without a word: one that was asked, and one that is waited for.
        "tcp_user_timeout": 1000 * _SILENT_PEER_SECONDS,
        "keepalives_idle": _SILENT_PEER_SECONDS,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    }


@contextlib.contextmanager
def cut_off_after(connection: AsyncConnection[Any], seconds: float | None) -> Iterator[None]:
    """Break the connection if what is inside takes longer; None: never. What waits there then fails.

    A cancellation would not do: it asks the server to stop, and waits for the answer of one that stands still.
    """
    if seconds is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(max(seconds, 0), _cut_off, connection)
    try:
        yield
    finally:
        timer.cancel()


def _cut_off(connection: AsyncConnection[Any]) -> None:
    if connection.closed:
        return
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as its_socket:
        its_socket.shutdown(socket.SHUT_RDWR)


async def is_sound(connection: Session, within_seconds: float) -> bool:
    """Whether a session that lay idle still stands.

    One that ended has something to be read. One that answered a moment ago and has not is taken at its word; another
    is asked, as its server may be gone without a word.
    """
    if connection.closed:
        return False
    if time.monotonic() - connection.answered_at < _TRUSTED_SECONDS and not _has_input(connection.fileno()):
        return True
    return await answers(connection, min(within_seconds, _CHECK_SECONDS))


async def answers(connection: AsyncConnection[Any], within_seconds: float) -> bool:
    """Whether the server answers the smallest question there is."""
    try:
        with cut_off_after(connection, within_seconds):
            await connection.execute("", prepare=False)
    except psycopg.Error:
        return False
    return True


def _has_input(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
