"""What nginx does not send itself goes to the API, once, as it comes and as it leaves."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.delivery.house import KEYS
from tests.support.nginx import HAS_NJS, NGINX, Front, adapt, answer, command, front, write_config
from tests.support.server import eventually, free_port

pytestmark = pytest.mark.skipif(NGINX is None or not HAS_NJS, reason="nginx or its njs module is not installed")

ENV = {"SAFELIGHT_SIGNING_KEYS": KEYS}


class Upstream:
    """A server that does with each connection as it is told, and remembers the heads of requests."""

    def __init__(self, act: Callable[[socket.socket, bytes], None]) -> None:
        self.heads: list[bytes] = []
        self._act = act
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(65536)
                if not more:
                    return
                head += more
            self.heads.append(head)
            self._act(connection, head)

    def close(self) -> None:
        with suppress(OSError):  # it is closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def between(folder: Path, *actions: Callable[[socket.socket, bytes], None]) -> Iterator[tuple[Front, list[Upstream]]]:
    upstreams, port = [Upstream(action) for action in actions], free_port()
    try:
        options = [part for upstream in upstreams for part in ("--upstream", upstream.address)]
        write_config(ENV, folder / "data", folder, port, *options)
        with front(folder, port) as running:
            yield running, upstreams
    finally:
        for upstream in upstreams:
            upstream.close()


def _hang_up(connection: socket.socket, head: bytes) -> None:
    """Take the request, and go without an answer."""


def test_a_post_that_was_sent_is_never_sent_again(tmp_path: Path) -> None:
    with between(tmp_path, _hang_up, _hang_up) as (running, upstreams):
        for number in range(4):
            body = [("Content-Length", "0"), ("X-Number", str(number))]
            assert answer(running.port, "/v2/images/generations", body, "POST")[0] == 502
        eventually(lambda: sum(len(each.heads) for each in upstreams) >= 1, "one has come")
        heads = [head for upstream in upstreams for head in upstream.heads]
        numbers = re.findall(rb"X-Number: (\d)", b"".join(heads))
        assert len(numbers) == len(set(numbers)), "each at one node"
        assert all(b"POST " in head and b"X-Forwarded-For: 127.0.0.1" in head for head in heads)


def test_a_post_goes_to_another_node_where_one_is_not_there(tmp_path: Path) -> None:
    def fine(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    with between(tmp_path, _hang_up, fine) as (running, upstreams):
        upstreams[0].close()
        for _ in range(3):
            given = answer(running.port, "/v2/videos/generations", [("Content-Length", "0")], "POST")
            assert (given[0], given[2]) == (202, b"ok")
        assert len(upstreams[1].heads) == 3


def test_events_come_as_they_are_sent_and_uploads_pass(tmp_path: Path) -> None:
    seen = threading.Event()

    def stream(connection: socket.socket, head: bytes) -> None:
        if b"POST" in head:
            length = int(re.findall(rb"Content-Length: (\d+)", head)[0])
            left = length - len(head.partition(b"\r\n\r\n")[2])
            while left:
                left -= len(connection.recv(1 << 20))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\n%08d" % length)
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: first\n\n")
        seen.wait(30)
        connection.sendall(b"data: last\n\n")

    with between(tmp_path, stream) as (running, _):
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
            connection.sendall(b"GET /v2/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            given = b""
            while b"first" not in given:
                given += connection.recv(4096)
            assert b"last" not in given, "the first is here before the last is sent"
            seen.set()
            while more := connection.recv(4096):
                given += more
            assert b"last" in given
        size = 25 * 1024 * 1024
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as connection:
            connection.sendall(
                b"POST /v1/images/edits HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size
            )
            connection.sendall(bytes(size))
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.read() == b"%08d" % size


def test_a_changed_configuration_is_kept(tmp_path: Path) -> None:
    write_config(ENV, tmp_path / "data", tmp_path, 8080)
    assert not (tmp_path / "nginx.conf.new").exists()
    adapt(tmp_path / "nginx.conf", tmp_path)
    changed = (tmp_path / "nginx.conf").read_text()
    write_config(ENV, tmp_path / "data", tmp_path, 8080)
    assert (tmp_path / "nginx.conf").read_text() == changed and (tmp_path / "nginx.conf.new").exists()
    (tmp_path / "nginx.conf").write_bytes(changed.encode() + b"# caf\xe9\n")
    write_config(ENV, tmp_path / "data", tmp_path, 8080)
    assert (tmp_path / "nginx.conf").read_bytes().endswith(b"\xe9\n")
    status, printed, _ = command(ENV, tmp_path / "data")
    assert status == 0 and printed.startswith("# nginx in front of Safelight") and "listen 80;" in printed
    status, _, errors = command(ENV, tmp_path / "data", "--listen", "80; include /etc/passwd")
    assert status == 1 and "cannot stand in a configuration" in errors
    status, _, errors = command({**ENV, "SAFELIGHT_PUBLIC_URL": "http://a;b{/"}, tmp_path / "data")
    assert status == 1 and "'a;b{' cannot stand in a configuration" in errors
    status, _, errors = command({**ENV, "SAFELIGHT_MEDIA_URL": "s3://bucket/media?region=eu"}, tmp_path / "data")
    assert status == 1 and "SAFELIGHT_DOWNLOAD_REDIRECT" in errors
