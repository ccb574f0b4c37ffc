"""What moves in a workspace, for people who look on: one look a second, however many they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from safelight.domain.errors import SafelightError
from safelight.domain.generations import State
from safelight.domain.ids import first_id_at, made_at
from safelight.lifecycle.services import ViewServices

log = structlog.get_logger()

_LOOK_SECONDS = 1.0
# An id is given before its row is seen, on a clock of its own.
_OVERLAP = timedelta(seconds=60)
# Whoever joins was shown a page before that, and is told what came since.
_SHOWN_SECONDS = 15.0
_MOST = 1000
"""So many of the newest, and as many of those under way, are looked at; twice as many that were under way."""


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
        """What moved, from a moment ago on, as it is seen; nothing each time that nothing did for ``quiet_seconds``.

        Of a generation that moved several times before it is asked for, the last is told. Ends when this process does.
        """
        watch = self._watches.get(workspace_id)
        if watch is None:
            watch = self._watches[workspace_id] = _Watch(services, workspace_id)
        listener = watch.join()
        try:
            while not services.changes.is_ending:
                yield await listener.heard(quiet_seconds)
        finally:
            if watch.leave(listener):
                self._watches.pop(workspace_id, None)


class _Listener:
    """What one has yet to be told: of each generation the last."""

    def __init__(self) -> None:
        self._moves: dict[str, Move] = {}
        self._is_told = asyncio.Event()

    def tell(self, moves: list[Move]) -> None:
        for each in moves:
            earlier = self._moves.pop(each.id, None)
            is_new = each.is_new or (earlier is not None and earlier.is_new)
            self._moves[each.id] = msgspec.structs.replace(each, is_new=is_new)
        while len(self._moves) > 4 * _MOST:  # nobody takes them: the oldest go
            del self._moves[next(iter(self._moves))]
        if self._moves:
            self._is_told.set()

    async def heard(self, within_seconds: float) -> list[Move]:
        try:
            async with asyncio.timeout(within_seconds):
                await self._is_told.wait()
        except TimeoutError:
            return []
        moves, self._moves = list(self._moves.values()), {}
        self._is_told.clear()
        return moves


class _Watch:
    """One workspace, looked at while there is somebody."""

    def __init__(self, services: ViewServices, workspace_id: int) -> None:
        self._services = services
        self._workspace_id = workspace_id
        self._listeners: set[_Listener] = set()
        self._known: dict[str, Move] | None = None
        self._recent: dict[str, tuple[float, Move]] = {}
        self._task: asyncio.Task[None] | None = None

    def join(self) -> _Listener:
        listener = _Listener()
        self._listeners.add(listener)
        since = time.monotonic() - _SHOWN_SECONDS
        listener.tell([move for at, move in self._recent.values() if at > since])
        if self._task is None:
            self._task = asyncio.create_task(self._look_on(), name=f"watching {self._workspace_id}")
        return listener

    def leave(self, listener: _Listener) -> bool:
        """Whether that was the last."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None
        return not self._listeners

    async def _look_on(self) -> None:
        while True:
            try:
                moved = await self._look()
            except SafelightError:  # the database is away; what moves meanwhile is seen afterwards
                moved = []
            except Exception:
                log.exception("a look at what moves failed", workspace_id=self._workspace_id)
                moved = []
            for listener in self._listeners if moved else ():
                listener.tell(moved)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self) -> list[Move]:
        """What moved since the last look. At the first, that is all that is under way or was made just now."""
        known, now = self._known, datetime.now(UTC)
        under_way = [each.id for each in (known or {}).values() if not State(each.state).is_final]
        params = {
            "workspace_id": self._workspace_id,
            "since": first_id_at(now - _OVERLAP),
            "under_way": under_way[-2 * _MOST :],
            "most": _MOST,
        }
        seen = {each.id: each for each in await self._services.db.all("list_moved", params, Move)}
        self._known = seen
        if known is None:
            shown_at = now - timedelta(seconds=_SHOWN_SECONDS)
            found = [msgspec.structs.replace(each, is_new=made_at(each.id) >= shown_at) for each in seen.values()]
            moved = [each for each in found if each.is_new or not State(each.state).is_final]
        else:
            moved = [
                msgspec.structs.replace(each, is_new=each.id not in known)
                for each in seen.values()
                if known.get(each.id) != each
            ]
        self._remember(moved)
        return moved

    def _remember(self, moved: list[Move]) -> None:
        at = time.monotonic()
        recent = {id_: each for id_, each in self._recent.items() if at - each[0] < _SHOWN_SECONDS}
        for each in moved:
            was_new = each.id in recent and recent[each.id][1].is_new
            recent[each.id] = (at, msgspec.structs.replace(each, is_new=each.is_new or was_new))
        self._recent = dict(list(recent.items())[-4 * _MOST :])
