"""The listener that Prometheus asks: GET of a few pages, on an address of its own, and nothing else.

A plain socket server with a limit on everything, as whoever asks may be slow or hostile: how long a head may be and
take, how long an answer may take, and how many there may be at once. It has a process of its own, so that none of this
is felt by anybody who makes pictures.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Awaitable, Callable, Mapping

import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

Page = Callable[[], Awaitable[bytes]]

_HEAD_BYTES = 8 * 1024
_HEAD_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_MOST_AT_ONCE = 32
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
}


class Listener:
    """``pages`` by path. ``token``: what must be shown as ``Authorization: Bearer``."""

    def __init__(self, pages: Mapping[str, Page], token: str | None) -> None:
        self._pages = pages
        self._wanted = None if token is None else f"Bearer {token}".encode()
        self._open: set[asyncio.StreamWriter] = set()
        self._idle: dict[asyncio.StreamWriter, None] = {}

    async def serve(self, listening: socket.socket) -> None:
        """Answer until cancelled."""
        server = await asyncio.start_server(self._answer, sock=listening, limit=_HEAD_BYTES)
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _MOST_AT_ONCE and not self._made_room():
            writer.transport.abort()
            return
        self._open.add(writer)
        self._idle[writer] = None
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            self._idle.pop(writer, None)
            status, body, is_head = await self._found(head)
            if status != 200:
                self._idle[writer] = None
            async with asyncio.timeout(_ANSWER_SECONDS):
                writer.write(_message(status, body, is_head=is_head))
                await writer.drain()
                writer.write_eof()
                while await reader.read(_HEAD_BYTES):  # until it has hung up: closing on what it still sends may cut
                    pass  # the answer short
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open.discard(writer)
            self._idle.pop(writer, None)
            writer.transport.abort()

    def _made_room(self) -> bool:
        """Hang up on who has asked for nothing for longest, or was refused: so those who stay keep nobody out."""
        if not self._idle:
            return False
        longest = next(iter(self._idle))
        del self._idle[longest]
        self._open.discard(longest)
        longest.transport.abort()
        return True

    async def _found(self, head: bytes) -> tuple[int, bytes, bool]:
        """Status and body of the answer, and whether only its head is wanted."""
        first, *lines = head.split(b"\r\n")
        parts = first.split(b" ")
        if len(parts) != 3 or not parts[2].startswith(b"HTTP/1."):
            return 400, b"This is no HTTP/1.1 request.\n", False
        is_head = parts[0] == b"HEAD"
        if not self._is_known(lines):
            return 401, b"Send the token as 'Authorization: Bearer ...'.\n", is_head
        page = self._pages.get(parts[1].partition(b"?")[0].decode("latin-1"))
        if page is None:
            return 404, f"There is {' and '.join(self._pages)}.\n".encode(), is_head
        if parts[0] not in (b"GET", b"HEAD"):
            return 405, b"Use GET.\n", False
        try:
            return 200, await page(), is_head
        except Exception as error:
            log.error("metrics broke", **without_message(error))
            return 500, b"The log says what broke.\n", is_head

    def _is_known(self, lines: list[bytes]) -> bool:
        if self._wanted is None:
            return True
        shown = [line.partition(b":")[2].strip() for line in lines if line[:14].lower() == b"authorization:"]
        return len(shown) == 1 and hmac.compare_digest(shown[0], self._wanted)


def _message(status: int, body: bytes, *, is_head: bool) -> bytes:
    content_type = CONTENT_TYPE_LATEST if status == 200 else "text/plain; charset=utf-8"
    fields = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
    ]
    if status == 401:
        fields.append("WWW-Authenticate: Bearer")
    if status == 405:
        fields.append("Allow: GET, HEAD")
    return "\r\n".join([*fields, "", ""]).encode() + (b"" if is_head else body)
