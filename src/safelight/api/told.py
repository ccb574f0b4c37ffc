"""What an answer tells of, and whether it arrived.

An image is seen once its answer is on the way. If the connection ends before that arrived, it is unseen again, so that
a repeat of its request joins it instead of making, and charging for, another. A file that is delivered once, and was in
the answer itself, is deleted once that arrived; it has its time where nobody can tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from safelight.api.auth import ApiState, state_of
from safelight.domain.errors import ServiceUnavailable
from safelight.keeping.expire import claim_end, delete_delivered
from safelight.lifecycle.views import note_lost
from safelight.node.arrivals import Sockets, arrived
from safelight.node.connections import Peer, peer_of

log = structlog.get_logger()

_TOLD = "safelight.told"


class _Telling(msgspec.Struct):
    """What an answer tells of, by id; and the files, by id and index, that are delivered by it."""

    generation_ids: list[str] = []
    delivered: list[tuple[str, int]] = []


def tells(request: Request, generation_ids: Iterable[str]) -> None:
    """The answer to this request tells how these ended."""
    telling: _Telling | None = request.scope.get(_TOLD)
    if telling is not None:
        telling.generation_ids += generation_ids


def delivers(request: Request, generation_id: str, index: int) -> None:
    """The answer to this request has a file in it that is to be delivered once."""
    telling: _Telling | None = request.scope.get(_TOLD)
    if telling is not None:
        telling.delivered.append((generation_id, index))


class Told:
    """Wraps an ASGI app, next to the server: it sees each connection as it is, whoever it speaks for."""

    def __init__(self, app: ASGIApp, sockets: Sockets) -> None:
        self._app = app
        self._sockets = sockets
        self._watching: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        telling = _Telling()
        scope[_TOLD] = telling
        peer = peer_of(scope) if _stays(scope) else None
        is_sent = False
        try:
            await self._app(scope, receive, send)
            is_sent = True
        finally:
            if telling.generation_ids and not (is_sent and peer is None):
                watch = asyncio.create_task(self._watch(state_of(scope), peer if is_sent else None, telling))
                self._watching.add(watch)
                watch.add_done_callback(self._watching.discard)

    async def _watch(self, state: ApiState, peer: Peer | None, telling: _Telling) -> None:
        """``peer``: where the answer went; None where it broke off."""
        try:
            if peer is not None and await arrived(self._sockets, peer):
                for generation_id, index in telling.delivered:
                    if await claim_end(state.keeping, generation_id, index):
                        await delete_delivered(state.keeping, generation_id, index)
                return
            for generation_id in telling.generation_ids:
                await note_lost(state.viewing, generation_id)
        except ServiceUnavailable:
            log.warning("what became of an answer is not on record: the database is away", ids=telling.generation_ids)


def _stays(scope: Scope) -> bool:
    """Whether the connection is there for more than this request: of one that is not, its end tells nothing."""
    said = b",".join(value for name, value in scope["headers"] if name == b"connection").lower()
    words = {word.strip() for word in said.split(b",")}
    return b"close" not in words and (scope["http_version"] != "1.0" or b"keep-alive" in words)
