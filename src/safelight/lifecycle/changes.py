"""Hearing of generations that change, and of events, as it is committed, whichever process did it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from weakref import WeakValueDictionary

from safelight.db.listen import listen
from safelight.lifecycle.looks import Looks
from safelight.lifecycle.presence import Presence

_LOOKS_AT_ONCE = 8

E = TypeVar("E", bound=asyncio.Event)


class Hinted(asyncio.Event):
    """That a backend told something of one job. ``then`` is called whenever it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.then: Callable[[], None] | None = None

    def set(self) -> None:
        super().set()
        if self.then is not None:
            self.then()


class Changes:
    """Tells subscribers when to look at a generation, or for a workspace's events; not what they will see.

    The session that hears is also the one by which others see that this process lives. When it was lost, everybody is
    told to look, so that nothing is missed.
    """

    def __init__(self, database_url: str, presence: Presence) -> None:
        self._database_url = database_url
        self._presence = presence
        self._heard_since: float | None = None
        self._on_cancel: Callable[[str], None] = lambda _: None
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._hinted: dict[str, set[Hinted]] = {}
        self._following: dict[str, set[asyncio.Event]] = {}
        self._looks: WeakValueDictionary[int, Looks] = WeakValueDictionary()
        self._task: asyncio.Task[None] | None = None
        self.is_ending = False
        """Whoever waits is to come back for it: to another process, or to this one when it runs again."""

    def start(self) -> None:
        listening = listen(self._database_url, "listen_changes", self._hear, runner=self._presence.number)
        self._task = asyncio.create_task(listening, name="changes")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def end_waits(self) -> None:
        """Have all that wait look once more, and wait no longer."""
        self.is_ending = True
        self._wake_all()

    @property
    def heard_seconds(self) -> float:
        """How long the session that hears has stood, if it stands."""
        return 0.0 if self._heard_since is None else time.monotonic() - self._heard_since

    def on_cancel(self, call: Callable[[str], None]) -> None:
        """Call it with the id of each generation whose cancellation is asked for."""
        self._on_cancel = call

    def subscribed(self, generation_id: str) -> contextlib.AbstractContextManager[asyncio.Event]:
        """An event that is set whenever the generation may have changed; clear it before looking."""
        return _listed(self._waiting, generation_id, asyncio.Event)

    def hinted(self, generation_id: str) -> contextlib.AbstractContextManager[Hinted]:
        """An event that is set whenever its backend tells that something happened; clear it before asking.

        One that is missed is made good by the next question, which comes all the same.
        """
        return _listed(self._hinted, generation_id, Hinted)

    def following(self, workspace_id: int) -> contextlib.AbstractContextManager[asyncio.Event]:
        """An event that is set whenever the workspace's followers may have something new; clear it before looking."""
        return _listed(self._following, str(workspace_id), asyncio.Event)

    def looks(self, workspace_id: int) -> Looks:
        """What its followers look up together: each event is told to many, and other workspaces do not wait for that.

        Hold it while following. Whoever does not read takes no turn.
        """
        return self._looks.setdefault(workspace_id, Looks(_LOOKS_AT_ONCE))

    def _hear(self, payload: str | None) -> None:
        if payload is None:
            self._heard_since = time.monotonic()
            self._wake_all()
            return
        kind, _, id_ = payload.partition(":")
        if kind == "event":  # of a workspace
            _set_all(self._following.get(id_, set()))
            return
        if kind == "hint":  # of its backend, whose word changes nothing
            _set_all(self._hinted.get(id_, set()))
            return
        if kind == "cancel":
            self._on_cancel(id_)
        _set_all(self._waiting.get(id_, set()))

    def _wake_all(self) -> None:
        for events in (*self._waiting.values(), *self._following.values()):
            _set_all(events)


@contextlib.contextmanager
def _listed(waiting: dict[str, set[E]], id_: str, make: Callable[[], E]) -> Iterator[E]:
    event = make()
    waiting.setdefault(id_, set()).add(event)
    try:
        yield event
    finally:
        waiting[id_].discard(event)
        if not waiting[id_]:
            del waiting[id_]


def _set_all(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        event.set()
