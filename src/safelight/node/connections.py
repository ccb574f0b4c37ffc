"""This process's connections from clients: how many there may be, and which are closed when there are more.

The server accepts whoever comes, up to a number, and lets each be silent for a while. So a few addresses could take
all places. A thread looks at the process's sockets a few times a second and closes what is too much of one client,
those first that have been without a request the longest. It asks the kernel, as nobody else knows of a connection that
was accepted and says nothing. It works on Linux; elsewhere nothing is closed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import socket
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

import msgspec
import structlog

from safelight.domain.shares import level

log = structlog.get_logger()

Peer = tuple[str, int]
"""The other end of a connection: host and port."""

_MOST_ACCEPTED = 16_384
_MOST_FILES = 4 * _MOST_ACCEPTED
_LOOK_SECONDS = 0.25
_AT_ONCE = 256
_BREATH_SECONDS = 0.001
_PATIENCE_SECONDS = 5.0
_READER_SECONDS = 60.0
_SOCKADDR_BYTES = 28  # of an IPv6 address; one of IPv4 is shorter


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


class Connections:
    """The watch. ``most``: connections that one client may have. ``capacity``: those of all clients.

    ``exempt``: clients that may have any number, as proxies do. A reader that takes nothing for ``reader_seconds`` is
    given up.
    """

    def __init__(
        self,
        port: int,
        *,
        capacity: int,
        most: int,
        exempt: Sequence[str] = (),
        reader_seconds: float = _READER_SECONDS,
    ) -> None:
        self._port = port
        self._capacity = capacity
        self._most = most
        self._exempt = [ip_network(network, strict=False) for network in exempt]
        self._reader_seconds = reader_seconds
        self._sockets = _Sockets()
        self._busy: Counter[Peer] = Counter()
        self._since: dict[Peer, float] = {}
        self._listeners: set[int] = set()
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
            self._since[peer] = time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception:
                log.exception("connections were not looked at")

    def look(self) -> int:
        """Look once, and close what is too much; how many that were."""
        now = time.monotonic()
        found = dict(self._found())
        by_client: dict[str, list[tuple[float, int, Peer]]] = defaultdict(list)
        for peer, number in found.items():
            since = now if peer in self._busy else self._since.setdefault(peer, now)
            by_client[client_of(peer[0])].append((since, number, peer))
        for peer in self._since.keys() - found.keys():
            del self._since[peer]
        may = level([len(each) for each in by_client.values()], capacity=self._capacity, most=self._most)
        patience = _PATIENCE_SECONDS if len(found) > self._capacity // 2 else float("inf")
        closed = 0
        for client, each in by_client.items():
            if self._is_exempt(client):
                continue
            # Whoever came since the last look has until the next to say what they want.
            idle = sorted(entry for entry in each if entry[0] < now)
            too_many = max(0, len(each) - may)
            closed += sum(
                self._close(number, peer)
                for place, (since, number, peer) in enumerate(idle)
                if place < too_many or now - since > patience
            )
        return closed

    def _is_exempt(self, client: str) -> bool:
        return any(ip_address(client.partition("/")[0]) in network for network in self._exempt)

    def _found(self) -> Iterator[tuple[Peer, int]]:
        """The connections that clients opened to the port, by their numbers here."""
        for place, name in enumerate(os.listdir("/proc/self/fd")):  # noqa: PTH208  (a path each would be slow)
            if place % _AT_ONCE == _AT_ONCE - 1:
                time.sleep(_BREATH_SECONDS)  # requests go first
            number = int(name)
            peer = self._sockets.peer(number)
            if peer is not None:
                if peer in self._since or self._sockets.port(number) == self._port:
                    yield peer, number
            elif number not in self._listeners and self._sockets.port(number) == self._port:
                self._give_up_readers(number)

    def _give_up_readers(self, number: int) -> None:
        """What is accepted from here on ends when its other end takes none of what it was sent (RFC 5482)."""
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as listener:
            milliseconds = round(self._reader_seconds * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
            self._listeners.add(number)

    def _close(self, number: int, peer: Peer) -> bool:
        """Close a connection, unless its number is another's by now."""
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as own:
            if self._sockets.peer(own.fileno()) == peer and self._sockets.port(own.fileno()) == self._port:
                own.shutdown(socket.SHUT_RDWR)
                return True
        return False


class _Sockets:
    """Asks for the ends of sockets. These calls keep the interpreter's lock: they return at once, and to win it back
    thousands of times from a busy loop would take seconds."""

    def __init__(self) -> None:
        libc = ctypes.PyDLL(None)
        self._getpeername, self._getsockname = libc.getpeername, libc.getsockname
        self._name = ctypes.create_string_buffer(128)
        self._view = memoryview(self._name).cast("B")
        self._length = ctypes.c_uint32()
        self._peers: dict[bytes, Peer | None] = {}

    def peer(self, number: int) -> Peer | None:
        """Host and port at the other end; None where it is no connection of TCP."""
        return self._end(self._getpeername, number)

    def port(self, number: int) -> int | None:
        """The port at this end."""
        end = self._end(self._getsockname, number)
        return None if end is None else end[1]

    def _end(self, call: Callable[..., int], number: int) -> Peer | None:
        self._length.value = 128
        if call(number, self._name, ctypes.byref(self._length)) != 0:
            return None
        raw = self._view[: min(self._length.value, _SOCKADDR_BYTES)].tobytes()
        if raw not in self._peers:
            if len(self._peers) > _MOST_FILES:
                self._peers.clear()
            self._peers[raw] = _read_end(raw)
        return self._peers[raw]


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
