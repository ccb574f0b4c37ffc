"""Writing down what has happened even if the database is away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from safelight.domain.errors import ServiceUnavailable

log = structlog.get_logger()

T = TypeVar("T")

_PAUSES_SECONDS = (0.1, 0.3, 1, 2, 3, 5, 5, 10, 10, 10, 10)


async def through_outage(write: Callable[[], Awaitable[T]]) -> T:
    """Repeat a write until the database takes it, for about a minute. The write must be one that may be repeated:

    those of a runner are, as each carries its run token. Raises ``ServiceUnavailable`` at the end.
    """
    for pause in _PAUSES_SECONDS:
        try:
            return await write()
        except ServiceUnavailable:
            log.warning("the database is away; trying again", seconds=pause)
            await asyncio.sleep(pause)
    return await write()
