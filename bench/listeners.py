"""Those who follow a workspace's events: one process for one address, with many streams open.

    python -m bench.listeners ADDRESS PORT COUNT KEY

Prints a line once all streams are open, and one each time that all were told of one event more: when the event
happened, by its own word, and when the last stream had it. It ends when its standard input does.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from datetime import datetime

from safelight.node.connections import make_room

_AT_ONCE = 32  # that are being opened
_EVENT, _DATA = b"\r\nevent: ", b"\ndata: "


class Listeners:
    """The streams of one address."""

    def __init__(self, address: str, port: int, count: int, key: str) -> None:
        self._from, self._to, self._count = (address, 0), ("127.0.0.1", port), count
        self._request = f"GET /v2/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        self._poll = select.epoll()
        self._streams: dict[int, socket.socket] = {}
        self._told: dict[int, int] = {}
        self._behind = 0
        """Those that were not told of the newest event."""
        self._newest = 0
        self._happened_at = 0.0

    def open_some(self) -> None:
        while len(self._streams) < self._count and len(self._streams) - len(self._told) < _AT_ONCE:
            stream = socket.create_connection(self._to, source_address=self._from)
            stream.sendall(self._request)
            self._streams[stream.fileno()] = stream
            self._poll.register(stream, select.EPOLLIN)

    def look(self) -> None:
        for number, _ in self._poll.poll(0.5, 4096):
            said = self._streams[number].recv(65536)
            if not said or (number not in self._told and b" 200 " not in said[:16]):
                raise ConnectionError(f"a stream has ended: {said[:300]!r}")
            if number not in self._told:
                self._told[number] = 0
                if len(self._told) == self._count:
                    _print(open=self._count)
            for _ in range(said.count(_EVENT)):
                self._hear(number, said)
        self.open_some()

    def _hear(self, number: int, said: bytes) -> None:
        self._told[number] += 1
        if self._told[number] > self._newest:
            self._newest, self._behind = self._told[number], self._count
            data = json.loads(said.partition(_DATA)[2].partition(b"\r\n")[0])
            self._happened_at = datetime.fromisoformat(data["timestamp"]).timestamp()
        if self._told[number] == self._newest:
            self._behind -= 1
            if not self._behind:
                _print(happened_at=self._happened_at, last_at=time.time())


def _print(**told: float) -> None:
    print(json.dumps(told), flush=True)


def main(address: str, port: str, count: str, key: str) -> None:
    make_room()
    listeners = Listeners(address, int(port), int(count), key)
    listeners.open_some()
    with select.epoll() as ended:
        ended.register(sys.stdin, select.EPOLLIN | select.EPOLLHUP)
        while not ended.poll(0):
            listeners.look()


if __name__ == "__main__":
    main(*sys.argv[1:])
