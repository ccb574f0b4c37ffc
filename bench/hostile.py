"""Hostile clients: one process for one address, that holds as many connections of one kind open as it can.

    python -m bench.hostile ADDRESS PORT COUNT PACE KIND [KEY VIDEO]

Opens ``PACE`` connections a second, and then a tenth as fast another one for each that was closed on it. Every half
second it prints how many are open, were opened and were closed. It ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
import struct
import sys
import time

_BODY_BYTES = 24 * 1024 * 1024
_SENT_AT_ONCE = 64 * 1024
_DRIP_SECONDS = 5.0
_ROUND_SECONDS = 0.05
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


def request(kind: str, key: str, video: str) -> bytes:
    """What a connection of a kind says once it is open."""
    authorized = f"Host: x\r\nAuthorization: Bearer {key}\r\n"
    match kind:
        case "silent":
            return b""
        case "slow headers":
            return b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
        case "idle":
            return b"GET /v2/models HTTP/1.1\r\nHost: x\r\n\r\n"
        case "unfinished bodies":
            head = f"POST /v2/images/generations HTTP/1.1\r\n{authorized}Content-Length: {_BODY_BYTES}\r\n\r\n"
            return head.encode() + b'{"prompt": "' + b"x" * _SENT_AT_ONCE
        case "event streams":
            return f"GET /v2/generations/{video}/events HTTP/1.1\r\n{authorized}\r\n".encode()
        case "long polls":
            return f"GET /v2/videos/generations/{video}?wait=60 HTTP/1.1\r\n{authorized}\r\n".encode()
        case _:
            raise ValueError(kind)


class Crowd:
    """The connections of one address."""

    def __init__(self, address: str, port: int, said: bytes, *, drips: bool) -> None:
        self.opened = self.closed = 0
        self._address, self._port, self._said, self._drips = address, port, said, drips
        self._poll = select.epoll()
        self._connections: dict[int, socket.socket] = {}
        self._unsaid: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def open(self) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        connection.bind((self._address, 0))
        with contextlib.suppress(BlockingIOError):
            connection.connect(("127.0.0.1", self._port))
        self._connections[connection.fileno()] = connection
        self._unsaid[connection.fileno()] = self._said
        self._poll.register(connection, select.EPOLLIN | select.EPOLLOUT)
        self.opened += 1

    def look(self, seconds: float) -> None:
        for number, event in self._poll.poll(seconds, 4096):
            try:
                if event & select.EPOLLOUT:
                    self._say(number)
                if event & ~select.EPOLLOUT and not self._connections[number].recv(65536):
                    self._close(number)
            except BlockingIOError:
                pass
            except OSError:
                self._close(number)

    def drip(self) -> None:
        """A byte more of what never ends."""
        for number in list(self._connections) if self._drips else ():
            with contextlib.suppress(OSError):
                self._connections[number].send(b"a")

    def leave(self) -> None:
        for number in list(self._connections):
            self._close(number)

    def _say(self, number: int) -> None:
        if left := self._unsaid[number]:
            left = left[self._connections[number].send(left) :]
            self._unsaid[number] = left
        if not left:
            self._poll.modify(number, select.EPOLLIN)

    def _close(self, number: int) -> None:
        self._poll.unregister(number)
        self._connections.pop(number).close()
        del self._unsaid[number]
        self.closed += 1


def main(address: str, port: str, count: str, pace: str, kind: str, key: str = "", video: str = "") -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.nice(10)  # clients have machines of their own
    crowd = Crowd(address, int(port), request(kind, key, video), drips=kind == "slow headers")
    begun = told = dripped = time.monotonic()
    allowance, last = 0.0, begun
    while not select.select([sys.stdin], [], [], 0)[0]:
        now = time.monotonic()
        rate = int(pace) if crowd.opened < int(count) else int(pace) / 10
        allowance, last = min(allowance + (now - last) * rate, rate), now
        while allowance >= 1 and len(crowd) < int(count):
            allowance -= 1
            crowd.open()
        crowd.look(_ROUND_SECONDS)
        if now - dripped > _DRIP_SECONDS:
            dripped = now
            crowd.drip()
        if now - told > 0.5:
            told = now
            print(json.dumps({"open": len(crowd), "opened": crowd.opened, "closed": crowd.closed}), flush=True)
    crowd.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
