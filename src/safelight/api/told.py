"""What an answer tells of, and whether it arrived.

An image is seen once its answer is about to be complete. If that becomes an error after all, or the connection ends
before it arrived, the image is unseen again, so that a repeat of its request joins it instead of making, and charging
for, another. A file that is delivered once, and was in the answer itself, is deleted once that arrived; it has its time
where nobody can tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from http import HTTPStatus

import msgspec
import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.api.auth import ApiState, state_of
from safelight.domain.errors import ServiceUnavailable
from safelight.keeping.expire import claim_end, delete_delivered
from safelight.lifecycle.views import note_lost
from safelight.node.arrivals import Sockets, arrived
from safelight.node.connections import Peer, peer_of

log = structlog.get_logger()

_TOLD = "safelight.told"


class _Telling(msgspec.Struct):
    """What an answer tells of, by id; and the files, by id and index, that are delivered by it.

    ``seeing`` records that they are seen.
    """

    generation_ids: list[str] = []
    delivered: list[tuple[str, int]] = []
    seeing: asyncio.Future[None] | None = None


def tells(request: Request, generation_ids: Iterable[str]) -> None:
    """The answer to this request tells how these ended."""
    telling: _Telling | None = request.scope.get(_TOLD)
    if telling is not None:
        telling.generation_ids += generation_ids


async def tells_seen(request: Request, generation_ids: Iterable[str], see: Coroutine[None, None, None]) -> None:
    """The answer tells how these ended, and ``see`` records that they are seen.

    That goes on where the answer is cancelled meanwhile, and then it is first that they are seen, and last that they
    are not. Raises what ``see`` raises.
    """
    tells(request, generation_ids)
    seeing = asyncio.ensure_future(see)
    telling: _Telling | None = request.scope.get(_TOLD)
    if telling is not None:
        telling.seeing = seeing
    await asyncio.shield(seeing)


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
        self._latest: dict[Peer, _Telling] = {}
        """What the latest request of a connection tells of: who sends another has the answer before."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        telling = _Telling()
        scope[_TOLD] = telling
        peer, answer = peer_of(scope), _Answer(send)
        if peer is not None:
            self._latest[peer] = telling
        try:
            await self._app(scope, receive, answer.send)
        finally:
            if telling.generation_ids and not answer.is_given:
                self._forget(peer, telling)
                self._begin(_note_lost(state_of(scope), telling))
            elif telling.generation_ids and peer is not None and _stays(scope):
                self._begin(self._watch(state_of(scope), peer, telling))
            else:
                self._forget(peer, telling)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        watch = asyncio.create_task(work, name="arrival")
        self._watching.add(watch)
        watch.add_done_callback(self._watching.discard)

    async def _watch(self, state: ApiState, peer: Peer, telling: _Telling) -> None:
        try:
            if await arrived(self._sockets, peer) or self._latest.get(peer) is not telling:
                await _note_delivered(state, telling)
            else:
                await _note_lost(state, telling)
        finally:
            self._forget(peer, telling)

    def _forget(self, peer: Peer | None, telling: _Telling) -> None:
        if peer is not None and self._latest.get(peer) is telling:
            del self._latest[peer]


class _Answer:
    """``is_given``: all of an answer that is no error was handed to the server."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_error = True
        self.is_given = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._is_error = message["status"] >= HTTPStatus.BAD_REQUEST
        await self._send(message)
        is_last = message["type"] != "http.response.start" and not message.get("more_body", False)
        self.is_given = self.is_given or (is_last and not self._is_error)


async def _note_lost(state: ApiState, telling: _Telling) -> None:
    if telling.seeing is not None:
        await asyncio.wait([telling.seeing])
    try:
        await note_lost(state.viewing, telling.generation_ids)
    except ServiceUnavailable:
        log.warning("an answer was lost, and that is not on record: the database is away", ids=telling.generation_ids)


async def _note_delivered(state: ApiState, telling: _Telling) -> None:
    try:
        for generation_id, index in telling.delivered:
            if await claim_end(state.keeping, generation_id, index):
                await delete_delivered(state.keeping, generation_id, index)
    except ServiceUnavailable:
        log.warning("a file was delivered, and has its time all the same: the database is away", ids=telling.delivered)


def _stays(scope: Scope) -> bool:
    """Whether the connection is there for more than this request: of one that is not, its end tells nothing."""
    said = b",".join(value for name, value in scope["headers"] if name == b"connection").lower()
    words = {word.strip() for word in said.split(b",")}
    return b"close" not in words and (scope["http_version"] != "1.0" or b"keep-alive" in words)
