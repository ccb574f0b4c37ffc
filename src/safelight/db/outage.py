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

_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.1, 0.4
_GIVE_UP_SECONDS = 600.0


async def through_outage(write: Callable[[], Awaitable[T]]) -> T:
    """Repeat a write until the database takes it, for ten minutes. The write must be one that may be repeated:

    those of a runner are, as each carries its run token. Raises ``ServiceUnavailable`` at the end.
    """
    began = time.monotonic()
    pause = _FIRST_PAUSE_SECONDS
    is_told = False
    while True:
        try:
            return await write()
        except ServiceUnavailable:
            if time.monotonic() - began > _GIVE_UP_SECONDS:
                raise
            if not is_told:
                log.warning("the database is away; trying again until it is back")
                is_told = True
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LAST_PAUSE_SECONDS)  # it is not to wait long once the database is back
