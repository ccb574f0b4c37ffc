"""Hearing PostgreSQL's notifications, over a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import AsyncConnection

from safelight.db.pool import statement
from safelight.db.sessions import answers, cut_off_after, session_arguments
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

_PAUSE_SECONDS = 0.5
_QUIET_SECONDS = 5.0
_PATIENCE_SECONDS = 3.0


async def listen(url: str, name: str, hear: Callable[[str | None], None], *, runner: int | None = None) -> None:
    """Run the ``listen`` statement ``name`` and call ``hear`` with each notification's payload, until cancelled.

    A lost connection is made again, and so is one whose server falls silent. ``hear`` gets None at each start:
    something may have been missed before it. ``runner``: the session holds this runner's lock, as long as it stands.
    """
    while True:
        try:
            async with await AsyncConnection.connect(url, autocommit=True, **session_arguments()) as connection:
                with cut_off_after(connection, _PATIENCE_SECONDS):
                    if runner is not None:
                        await connection.execute(statement("be_present"), {"runner": runner})
                    await connection.execute(statement(name))
                hear(None)
                is_there = True
                while is_there:
                    async for notification in connection.notifies(timeout=_QUIET_SECONDS):
                        hear(notification.payload)
                    is_there = await answers(connection, _PATIENCE_SECONDS)
        except psycopg.Error as error:
            log.warning("not listening to the database", statement=name, reason=type(error).__name__)
        except Exception as error:  # a process that hears nothing more is taken for dead
            log.error("not listening to the database", statement=name, **without_message(error))
        await asyncio.sleep(_PAUSE_SECONDS)
