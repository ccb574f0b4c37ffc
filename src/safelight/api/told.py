"""What an answer tells of, and whether it arrived.

An image is seen once its answer is on the way. If the connection ends before that arrived, it is unseen again, so that
a repeat of its request joins it instead of making, and charging for, another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from safelight.api.auth import ApiState, state_of
from safelight.domain.errors import ServiceUnavailable
from safelight.lifecycle.views import note_lost
from safelight.node.arrivals import Sockets, arrived
from safelight.node.connections import Peer, peer_of

log = structlog.get_logger()

_TOLD = "safelight.told"


def tells(request: Request, generation_ids: Iterable[str]) -> None:
    """The answer to this request tells how these ended."""
    told: list[str] | None = request.scope.get(_TOLD)
    if told is not None:
        told += generation_ids


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
        told: list[str] = []
        scope[_TOLD] = told
        peer = peer_of(scope)
        stays = _stays(scope)
        await self._app(scope, receive, send)
        if told and peer is not None and stays:
            watch = asyncio.create_task(self._watch(state_of(scope), peer, told), name="arrival")
            self._watching.add(watch)
            watch.add_done_callback(self._watching.discard)

    async def _watch(self, state: ApiState, peer: Peer, told: list[str]) -> None:
        try:
            if await arrived(self._sockets, peer):
                return
            for generation_id in told:
                await note_lost(state.viewing, generation_id)
        except ServiceUnavailable:
            log.warning("an answer was lost, and that is not on record: the database is away", ids=told)


def _stays(scope: Scope) -> bool:
    """Whether the connection is there for more than this request: of one that is not, its end tells nothing."""
    said = b",".join(value for name, value in scope["headers"] if name == b"connection").lower()
    words = {word.strip() for word in said.split(b",")}
    return b"close" not in words and (scope["http_version"] != "1.0" or b"keep-alive" in words)
