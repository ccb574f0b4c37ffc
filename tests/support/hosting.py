"""Applications of aiohttp in a thread of their own, so that whoever uses them may block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from aiohttp import web

_PATIENCE_SECONDS = 30


@contextmanager
def hosted(*apps: web.Application, shutdown_seconds: float = 0.1) -> Iterator[list[int]]:
    """The port of each, a free one of loopback, until the end of the ``with``.

    What is being answered then has ``shutdown_seconds`` to end by itself.
    """
    runners = [web.AppRunner(app, shutdown_timeout=shutdown_seconds) for app in apps]
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        over = asyncio.Event()
        try:
            for runner in runners:
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
            started.set_result((asyncio.get_running_loop(), over))
            await over.wait()
        except Exception as error:
            started.set_exception(error)
        finally:
            for runner in runners:
                await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=[live()], name="hosted", daemon=True)
    thread.start()
    loop, over = started.result(_PATIENCE_SECONDS)
    try:
        yield [runner.addresses[0][1] for runner in runners]
    finally:
        # By an event, which is kept: a loop that is told to stop just as it has started runs on.
        loop.call_soon_threadsafe(over.set)
        thread.join(_PATIENCE_SECONDS)
        assert not thread.is_alive(), "what was hosted does not end"
