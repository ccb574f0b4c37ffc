"""Hearing PostgreSQL's notifications, over a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import AsyncConnection

from safelight.db.pool import statement

log = structlog.get_logger()

_PAUSE_SECONDS = 0.5


async def listen(url: str, name: str, hear: Callable[[str | None], None]) -> None:
    """Run the ``listen`` statement ``name`` and call ``hear`` with each notification's payload, until cancelled.

    A lost connection is made again. ``hear`` gets None at each start: something may have been missed before it.
    """
    while True:
        try:
            async with await AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(statement(name))
                hear(None)
                async for notification in connection.notifies():
                    hear(notification.payload)
        except psycopg.Error as error:
            log.warning("not listening to the database", statement=name, reason=type(error).__name__)
        await asyncio.sleep(_PAUSE_SECONDS)
