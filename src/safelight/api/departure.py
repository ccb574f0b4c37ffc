"""Noticing that a client has left while its answer is not there yet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


@contextlib.asynccontextmanager
async def watched(request: Request) -> AsyncIterator[asyncio.Event]:
    """An event that is set once the client has left, while inside. The request's body must have been read."""
    departed = asyncio.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        departed.set()

    watching = asyncio.create_task(watch(), name="departure")
    try:
        yield departed
    finally:
        watching.cancel()


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to; it is cancelled as soon as the client has left. Raises ``ClientDisconnect`` then."""
    async with watched(request) as departed:
        tasks = asyncio.create_task(work), asyncio.create_task(departed.wait())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        if tasks[0].done():
            return tasks[0].result()
        raise ClientDisconnect
