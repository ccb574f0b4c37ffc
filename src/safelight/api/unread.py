"""What a client still sends when its answer is there: most read no answer before they have sent all of a request.

Were the connection ended meanwhile, they would tell of that, and send all of it once more, where they were told that
their key is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.api.bodies import MAX_BODY_BYTES
from safelight.domain.numbers import whole_number
from safelight.node.arrivals import Sockets
from safelight.node.connections import peer_of

MOST_BYTES = 2 * MAX_BODY_BYTES
MOST_SECONDS = 15.0
PAUSE_SECONDS = 1.0


class Unread:
    """Wraps an ASGI app. What its answer leaves unread of a body is taken first, and thrown away.

    Not more than so many bytes, and not for long: then the answer goes out all the same, as it does to who announces
    more, or has asked whether to send any (``Expect``). A connection on which more may come is ended behind it.
    """

    def __init__(self, app: ASGIApp, sockets: Sockets | None) -> None:
        self._app = app
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_coming(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(receive)

        async def send_after_it(message: Message) -> None:
            if message["type"] == "http.response.start" and not await body.is_discarded():
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        await self._app(scope, body.receive, send_after_it)
        if body.is_left:
            await self._end_reading(scope)

    async def _end_reading(self, scope: Scope) -> None:
        """The server itself does not always see that nobody reads any more, and keeps the connection."""
        peer = peer_of(scope)
        own = None if peer is None or self._sockets is None else await self._sockets.own_socket(peer)
        if own is not None:
            with own, contextlib.suppress(OSError):
                own.shutdown(socket.SHUT_RD)


def _is_coming(scope: Scope) -> bool:
    """Whether a body comes whatever is answered, and may be worth waiting for."""
    headers = dict(scope["headers"])
    if b"expect" in headers:
        return False
    size_bytes = whole_number(headers.get(b"content-length", b"").decode("latin-1"))
    return b"transfer-encoding" in headers if size_bytes is None else 0 < size_bytes <= MOST_BYTES


class _Body:
    """A request's body, and how much of it has come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._size_bytes = 0
        self._is_over = False
        self.is_left = False
        """Some of it may come, and nobody takes it."""

    async def receive(self) -> Message:
        message = await self._receive()
        self._size_bytes += len(message.get("body", b""))
        self._is_over = not message.get("more_body", False)  # that the client left ends it too
        return message

    async def is_discarded(self) -> bool:
        """Take what is left of it, within the bounds; whether that was all."""
        now = asyncio.get_running_loop().time
        ends_at = now() + MOST_SECONDS
        try:
            async with asyncio.timeout(None) as patience:
                while not self._is_over and self._size_bytes < MOST_BYTES:
                    patience.reschedule(min(now() + PAUSE_SECONDS, ends_at))
                    await self.receive()
        except TimeoutError:
            pass
        self.is_left = not self._is_over
        return self._is_over
