"""Being woken by PostgreSQL's notifications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import AsyncConnection

from safelight.db.pool import statement

log = structlog.get_logger()

_PAUSE_SECONDS = 1.0


async def listen(url: str, name: str, wake: Callable[[], None]) -> None:
    """Run the ``listen`` statement ``name`` and call ``wake`` at each notification, until cancelled.

    A connection that is lost is made again. ``wake`` is also called at each start, for what came before it.
    """
    while True:
        try:
            async with await AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(statement(name))
                wake()
                async for _ in connection.notifies():
                    wake()
        except psycopg.Error as error:
            log.warning("not listening to the database", statement=name, reason=type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)
