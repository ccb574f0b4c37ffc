"""Requests that no HTTP library would send, byte by byte over a socket."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec

PATIENCE_SECONDS = 60


class RawAnswer(msgspec.Struct, frozen=True):
    """An answer as it came. ``status`` 0: the server closed the connection without a word."""

    status: int
    headers: dict[str, str]
    body: bytes


def exchange(base_url: str, pieces: Iterable[bytes], *, then_stop: bool = False) -> RawAnswer:
    """Send ``pieces`` until the server takes no more, and read its answer to the end, which the server makes.

    ``then_stop``: say, when all is sent, that no more will come.
    """
    address = urlsplit(base_url)
    with socket.create_connection((address.hostname, address.port), PATIENCE_SECONDS) as connection:
        with suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
            if then_stop:
                connection.shutdown(socket.SHUT_WR)
        received = b""
        with suppress(ConnectionResetError):
            while chunk := connection.recv(65536):
                received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines[1:])
    status = int(lines[0].split(" ")[1]) if lines[0] else 0
    return RawAnswer(status, {name.lower(): value.strip() for name, _, value in fields}, body)
