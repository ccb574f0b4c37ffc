"""What many ask for at once, looked up once for all of them.

Nobody is answered by a look that began before it was asked for, so an answer is as fresh as that of a look of one's
own. It is ``db.lookups`` for what is more than one statement, or is dear to make from its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Looks:
    """``at_once``: looks that are under way; whoever asks for what still waits for its turn is answered by it."""

    def __init__(self, at_once: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._waiting: dict[Hashable, asyncio.Task[Any]] = {}

    async def find(self, what: Hashable, look: Callable[[], Awaitable[T]]) -> T:
        """What the look finds, or raises. It goes on where one of those who asked leaves."""
        task = self._waiting.get(what)
        if task is None:
            # It begins after this turn of the event loop: who else asks in it comes along.
            task = self._waiting[what] = asyncio.create_task(self._look(what, look), name="look")
        found: T = await asyncio.shield(task)
        return found

    async def _look(self, what: Hashable, look: Callable[[], Awaitable[T]]) -> T:
        try:
            async with self._turns:
                del self._waiting[what]
                return await look()
        finally:
            if self._waiting.get(what) is asyncio.current_task():  # cancelled before its turn
                del self._waiting[what]
