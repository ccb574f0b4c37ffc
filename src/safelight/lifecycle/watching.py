"""What moves in a workspace, for people who look on: one look a second, however many they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from safelight.domain.errors import ServiceUnavailable
from safelight.domain.generations import State
from safelight.domain.ids import first_id_at
from safelight.lifecycle.services import ViewServices

log = structlog.get_logger()

_LOOK_SECONDS = 1.0
# An id is given before its row is seen, on a clock of its own.
_OVERLAP = timedelta(seconds=60)
_MOST_UNDER_WAY = 500


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """How a generation stands, at the first look or since something changed. ``is_new``: it was not there before."""

    id: str
    type: str
    state: str
    progress: float | None
    is_new: bool = False


class Watching:
    """The workspaces of one process that somebody looks at."""

    def __init__(self) -> None:
        self._watches: dict[int, _Watch] = {}

    async def moves(
        self, services: ViewServices, workspace_id: int, *, quiet_seconds: float
    ) -> AsyncIterator[list[Move]]:
        """What moved, from now on, as it is seen; nothing each time that nothing did for ``quiet_seconds``.

        Ends when this process does.
        """
        watch = self._watches.get(workspace_id)
        if watch is None:
            watch = self._watches[workspace_id] = _Watch(services, workspace_id)
        heard: asyncio.Queue[list[Move]] = asyncio.Queue()
        watch.join(heard)
        try:
            while not services.changes.is_ending:
                try:
                    async with asyncio.timeout(quiet_seconds):
                        yield await heard.get()
                except TimeoutError:
                    yield []
        finally:
            if watch.leave(heard):
                self._watches.pop(workspace_id, None)


class _Watch:
    """One workspace, looked at while there is somebody."""

    def __init__(self, services: ViewServices, workspace_id: int) -> None:
        self._services = services
        self._workspace_id = workspace_id
        self._listeners: set[asyncio.Queue[list[Move]]] = set()
        self._known: dict[str, Move] | None = None
        self._task: asyncio.Task[None] | None = None

    def join(self, listener: asyncio.Queue[list[Move]]) -> None:
        self._listeners.add(listener)
        if self._task is None:
            self._task = asyncio.create_task(self._look_on(), name=f"watching {self._workspace_id}")

    def leave(self, listener: asyncio.Queue[list[Move]]) -> bool:
        """Whether that was the last."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None
        return not self._listeners

    async def _look_on(self) -> None:
        while True:
            with contextlib.suppress(ServiceUnavailable):
                moved = await self._look()
                for listener in self._listeners if moved else ():
                    listener.put_nowait(moved)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> list[Move]:
        known = self._known or {}
        under_way = [each.id for each in known.values() if not State(each.state).is_final][:_MOST_UNDER_WAY]
        params = {
            "workspace_id": self._workspace_id,
            "since": first_id_at(datetime.now(UTC) - _OVERLAP),
            "under_way": under_way,
        }
        seen = {each.id: each for each in await self._services.db.all("list_moved", params, Move)}
        is_first, self._known = self._known is None, seen
        moved = [
            msgspec.structs.replace(each, is_new=each.id not in known)
            for each in seen.values()
            if known.get(each.id) != each
        ]
        # Whoever looks on may have seen one under way that has ended by the first look.
        return [msgspec.structs.replace(each, is_new=False) for each in moved] if is_first else moved
