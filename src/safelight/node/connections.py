"""This process's connections from clients: how many there may be, and which are closed when there are more.

The server accepts whoever comes, up to a number, and lets each be silent for a while. So a few addresses could take
all places. A thread looks at the process's sockets a few times a second and closes what is too much of one client,
those first that have been without a request the longest. It asks the kernel, as nobody else knows of a connection that
was accepted and says nothing. It works on Linux; elsewhere nothing is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

import msgspec
import structlog

from safelight.domain.shares import level

log = structlog.get_logger()

Peer = tuple[str, int]
"""The other end of a connection: host and port."""

_MOST_ACCEPTED = 16_384
_MOST_IDLE = 128
_MOST_FILES = 4 * _MOST_ACCEPTED
_LOOK_SECONDS = 0.25
_AT_ONCE = 256
_BREATH_SECONDS = 0.001
_PATIENCE_SECONDS = 5.0
_READER_SECONDS = 60.0
_REST = 4  # times as long as a look took


class Room(msgspec.Struct, frozen=True):
    """``accepted``: connections that a process takes before others wait in the kernel. ``kept``: those that stay."""

    accepted: int
    kept: int


def make_room() -> Room:
    """Raise this process's limit on open files as far as it goes; the connections that fit, with files beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    accepted = _MOST_ACCEPTED if soft == resource.RLIM_INFINITY else min(_MOST_ACCEPTED, soft // 2)
    return Room(accepted, accepted // 2)


def peer_of(scope: Mapping[str, Any]) -> Peer | None:
    """The other end of a request's connection, if the server tells it: Granian gives the port as text."""
    client = scope.get("client")
    return (client[0], int(client[1])) if client and client[1] else None


@lru_cache(maxsize=10_000)
def client_of(host: str) -> str:
    """Whose an address is: one of IPv4 is one client's, and so is a whole IPv6 network of 64 bits."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address.packed, 64), strict=False))


class _Connection(msgspec.Struct, eq=False):
    """A connection of this process. ``since``: when its last request ended; before the first, when it was first seen.

    ``number``: its file descriptor at the last look.
    """

    peer: Peer
    client: str
    since: float
    number: int = -1
    look: int = 0


class Connections:
    """The watch. ``most``: connections that one client may have without a request under way. ``capacity``: those of all
    clients. Who has a request under way, and how many may have, is for the application to say.

    ``exempt``: networks of clients that may have any number, as proxies do. A reader that takes nothing for
    ``reader_seconds`` is given up.
    """

    def __init__(
        self,
        port: int,
        *,
        capacity: int,
        most: int = _MOST_IDLE,
        exempt: Sequence[str] = (),
        reader_seconds: float = _READER_SECONDS,
    ) -> None:
        self._port = port
        self._capacity = capacity
        self._most = most
        self._exempt = [ip_network(network, strict=False) for network in exempt]
        self._reader_milliseconds = round(reader_seconds * 1000)
        self._ends, self._own_ends = _Ends(), _Ends()  # of the watch's thread, and of the loop's
        self._search = asyncio.Lock()
        self._known: dict[bytes, _Connection] = {}
        self._by_peer: dict[Peer, _Connection] = {}
        self._busy: Counter[Peer] = Counter()
        self._listeners: set[int] = set()
        self._looks = 0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if sys.platform == "linux":
            self._thread = threading.Thread(target=self._watch, name="connections", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    @contextlib.contextmanager
    def answering(self, peer: Peer) -> Iterator[None]:
        """While a request of the connection is under way, that is not closed."""
        self._busy[peer] += 1
        try:
            yield
        finally:
            self._busy[peer] -= 1
            if not self._busy[peer]:
                del self._busy[peer]
            if known := self._by_peer.get(peer):
                known.since = time.monotonic()

    async def own_socket(self, peer: Peer) -> socket.socket | None:
        """A handle of its own on a connection of this process; None where it is closed. Whoever asks closes it."""
        if (own := self._known_socket(peer)) is not None:
            return own
        async with self._search:  # one at a time; meanwhile the watch may have come to know it
            return self._known_socket(peer) or await asyncio.to_thread(self._found_socket, peer)

    def _known_socket(self, peer: Peer) -> socket.socket | None:
        known = self._by_peer.get(peer)
        return None if known is None else self._socket(known.number, peer, self._own_ends)

    def _found_socket(self, peer: Peer) -> socket.socket | None:
        """The watch does not know it yet, or had a handle's number for its: look at all there are."""
        ends = _Ends()
        for number in _open_numbers():
            if own := self._socket(number, peer, ends):
                return own
        return None

    def _socket(self, number: int, peer: Peer, ends: _Ends) -> socket.socket | None:
        """A handle on a descriptor, if that is this connection's; it may be closed and another's at any moment."""

        def is_it(place: int) -> bool:
            raw = ends.other(place)
            return raw is not None and _read_end(raw) == peer and ends.port(place) == self._port

        if is_it(number):
            with contextlib.suppress(OSError):
                own = socket.socket(fileno=os.dup(number))
                if is_it(own.fileno()):
                    return own
                own.close()
        return None

    def look(self) -> int:
        """Look once, and close what is too much; how many that were."""
        now = time.monotonic()
        self._find(now)
        idle: dict[str, list[_Connection]] = defaultdict(list)
        for known in self._by_peer.values():
            if known.peer not in self._busy:
                idle[known.client].append(known)
        may = level([len(each) for each in idle.values()], capacity=self._capacity, most=self._most)
        is_full = len(self._by_peer) > self._capacity // 2
        closed = 0
        for client, each in idle.items():
            if (is_full or len(each) > may) and self._is_bounded(client):
                each.sort(key=lambda known: known.since)
                closed += sum(
                    self._close(known)
                    for place, known in enumerate(each)
                    # Whoever came since the last look has until the next to say what they want.
                    if known.since < now
                    and (place < len(each) - may or (is_full and now - known.since > _PATIENCE_SECONDS))
                )
        return closed

    def _watch(self) -> None:
        pause = _LOOK_SECONDS
        while not self._over.wait(pause):
            started = time.monotonic()
            try:
                self.look()
            except Exception:
                log.exception("connections were not looked at")
            pause = max(_LOOK_SECONDS, _REST * (time.monotonic() - started))

    def _is_bounded(self, client: str) -> bool:
        address = ip_address(client.partition("/")[0])
        return not any(address in network for network in self._exempt)

    def _find(self, now: float) -> None:
        """Bring what is known of this process's connections up to date."""
        self._looks += 1
        for number in _open_numbers():
            raw = self._ends.other(number)
            if raw is None:
                if number not in self._listeners:
                    self._give_up_readers(number)
                continue
            known = self._known.get(raw)
            if known is None:
                if (peer := _read_end(raw)) is None:
                    continue
                is_ours = self._ends.port(number) != self._port
                known = self._known[raw] = _Connection(peer, client_of(peer[0]), now)
                if not is_ours:
                    self._by_peer[peer] = known
            known.number, known.look = number, self._looks
        for raw in [raw for raw, known in self._known.items() if known.look != self._looks]:
            self._by_peer.pop(self._known.pop(raw).peer, None)

    def _give_up_readers(self, number: int) -> None:
        """What a listener accepts from here on ends when its other end takes none of what it is sent (RFC 5482)."""
        if self._ends.port(number) != self._port:
            return
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as listener:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._reader_milliseconds)
            self._listeners.add(number)

    def _close(self, known: _Connection) -> bool:
        """Close a connection, unless its number is another's by now."""
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(known.number)) as own:
            if self._known.get(self._ends.other(own.fileno()) or b"") is known:
                own.shutdown(socket.SHUT_RDWR)
                return True
        return False


def _open_numbers() -> Iterator[int]:
    """This process's descriptors, in a thread of its own: with a pause now and then, as requests go first."""
    for place, name in enumerate(os.listdir("/proc/self/fd")):  # noqa: PTH208  (a path for each would be slow)
        if place % _AT_ONCE == _AT_ONCE - 1:
            time.sleep(_BREATH_SECONDS)
        yield int(name)


class _Ends:
    """Asks for the ends of sockets. These calls keep the interpreter's lock: they return at once, and to win it back
    thousands of times from a busy loop would take seconds."""

    def __init__(self) -> None:
        libc = ctypes.PyDLL(None)
        self._getpeername, self._getsockname = libc.getpeername, libc.getsockname
        self._name = ctypes.create_string_buffer(128)
        self._view = memoryview(self._name).cast("B")
        self._length = ctypes.c_uint32()
        self._length_pointer = ctypes.byref(self._length)

    def other(self, number: int) -> bytes | None:
        """The other end's ``sockaddr``; None where there is none."""
        self._length.value = 128
        if self._getpeername(number, self._name, self._length_pointer) != 0:
            return None
        return self._view[: self._length.value].tobytes()

    def port(self, number: int) -> int | None:
        """The port at this end; None where there is none."""
        self._length.value = 128
        if self._getsockname(number, self._name, self._length_pointer) != 0:
            return None
        end = _read_end(self._view[: self._length.value].tobytes())
        return None if end is None else end[1]


def _read_end(raw: bytes) -> Peer | None:
    """A ``sockaddr_in`` or ``sockaddr_in6``; None for any other."""
    family, port = int.from_bytes(raw[:2], sys.byteorder), int.from_bytes(raw[2:4], "big")
    match family:
        case socket.AF_INET:
            return socket.inet_ntop(family, raw[4:8]), port
        case socket.AF_INET6:
            return socket.inet_ntop(family, raw[8:24]), port
        case _:
            return None
