"""Whether an answer arrived at its client, as far as the network tells.

The server hands an answer over and hears no more of it. The kernel knows what the other end acknowledged, and that it
closed: a client that got its answer keeps the connection for its next request, or at least a moment longer than one
whose network broke.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
from typing import Protocol

from safelight.node.connections import Peer

_STANDS_SECONDS = 1.0
_MOST_SECONDS = 120.0
_SIOCOUTQ = 0x5411  # Linux: how many bytes the other end has yet to acknowledge


class Sockets(Protocol):
    """Who can find a connection of this process."""

    async def own_socket(self, peer: Peer) -> socket.socket | None: ...


async def arrived(sockets: Sockets, peer: Peer) -> bool:
    """Whether what was sent on the connection arrived: it was acknowledged, and the connection stood for a second.

    One that carries another request stands. Where nothing can be told, as outside Linux, it arrived.
    """
    if sys.platform != "linux":
        return True
    own = await sockets.own_socket(peer)
    if own is None:
        return False  # closed already
    with own:
        for _ in range(round(_MOST_SECONDS / _STANDS_SECONDS)):
            if await _speaks(own, _STANDS_SECONDS):
                return not _is_closed(own)
            if not _unacknowledged(own):
                return True
    return False


async def _speaks(own: socket.socket, within_seconds: float) -> bool:
    """Whether the other end sends something, or closes."""
    loop = asyncio.get_running_loop()
    spoken: asyncio.Future[bool] = loop.create_future()
    loop.add_reader(own, _set, spoken, True)
    timer = loop.call_later(within_seconds, _set, spoken, False)
    try:
        return await spoken
    finally:
        timer.cancel()
        loop.remove_reader(own)


def _set(spoken: asyncio.Future[bool], value: bool) -> None:
    if not spoken.done():
        spoken.set_result(value)


def _is_closed(own: socket.socket) -> bool:
    try:
        return own.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False  # the server was faster: it was a request
    except OSError:
        return True


def _unacknowledged(own: socket.socket) -> int:
    with contextlib.suppress(OSError):
        count: int = struct.unpack("i", fcntl.ioctl(own, _SIOCOUTQ, b"\0\0\0\0"))[0]
        return count
    return 0
