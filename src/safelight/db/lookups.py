"""Many small reads, or writes that may be repeated, answered by one statement.

While a statement is under way, lookups of the same kind gather, and the next statement answers them all. Nobody is
answered by a statement that began before the question was asked, so a lookup is as fresh as a statement of its own.
Polling costs a statement and a round trip for dozens of requests, instead of for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

Found = TypeVar("Found")
Params = Mapping[str, Any]
Read = Callable[[Mapping[str, Sequence[Any]]], Awaitable[Sequence[tuple[int, Found]]]]
"""Takes each parameter as a list, one item a lookup; gives what was found, with its place in the lists (from 1)."""

_MOST_AT_ONCE = 500


class Lookups(Generic[Found]):
    """Lookups of one kind."""

    def __init__(self, read: Read[Found]) -> None:
        self._read = read
        self._waiting: list[tuple[Params, asyncio.Future[Found | None]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def find(self, params: Params) -> Found | None:
        """What there is, or None. Every call has the same parameters by name. Raises what the statement raises."""
        answer: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((params, answer))
        if self._reading is None:
            # The task begins after this turn of the loop: what else was asked in it comes along.
            self._reading = asyncio.create_task(self._read_all(), name="lookups")
        return await answer

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                still_asked = [one for one in self._waiting if not one[1].done()]  # who left asks nothing any more
                asked, self._waiting = still_asked[:_MOST_AT_ONCE], still_asked[_MOST_AT_ONCE:]
                if asked:
                    await self._answer(asked)
        finally:
            self._reading = None

    async def _answer(self, asked: list[tuple[Params, asyncio.Future[Found | None]]]) -> None:
        columns = {name: [params[name] for params, _ in asked] for name in asked[0][0]}
        try:
            found = dict(await self._read(columns))
        except BaseException as error:
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error) if isinstance(error, Exception) else answer.cancel()
            if not isinstance(error, Exception):
                raise
            return
        for place, (_, answer) in enumerate(asked, start=1):
            if not answer.done():  # whoever asked may have left
                answer.set_result(found.get(place))
