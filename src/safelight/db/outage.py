"""Writing down what has happened even if the database is away for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from safelight.domain.errors import ServiceUnavailable

log = structlog.get_logger()

T = TypeVar("T")

_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.1, 1.0
_GIVE_UP_SECONDS = 60.0


async def through_outage(write: Callable[[], Awaitable[T]]) -> T:
    """Repeat a write until the database takes it, for about a minute. The write must be one that may be repeated:

    those of a runner are, as each carries its run token. Raises ``ServiceUnavailable`` at the end.
    """
    give_up_at = time.monotonic() + _GIVE_UP_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            return await write()
        except ServiceUnavailable:
            if time.monotonic() > give_up_at:
                raise
            log.warning("the database is away; trying again", seconds=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LAST_PAUSE_SECONDS)  # it is not to wait long once the database is back
